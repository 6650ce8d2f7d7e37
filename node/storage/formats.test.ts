/** The sizes of docs/disk-format.md are those of the code. */
import { expect, test } from '@jest/globals';
import fs from 'node:fs';
import path from 'node:path';
import { nodeId } from '../../base/units.ts';
import { BLOCK_DATA_START } from './blockHeader.ts';
import { FRAME_HEADER_BYTES } from './frame.ts';
import { encodeSuperblock } from './superblock.ts';

test('docs/disk-format.md states the sizes of the structures', () => {
  const text = fs.readFileSync(path.join(__dirname, '../../docs/disk-format.md'), 'utf8');
  const id = '0'.repeat(32);
  const superblock = {
    formatVersion: 1,
    clusterId: id,
    diskId: id,
    nodeId: nodeId(1),
    bootEpoch: 1,
    bootNonce: id,
    writes: 1,
    isRegistered: false,
  };
  expect(text).toContain(`### Superblock (${encodeSuperblock(superblock).length} bytes)`);
  expect(text).toContain(`### Block (${BLOCK_DATA_START} bytes`);
  expect(text).toContain(`### Frame (${FRAME_HEADER_BYTES} bytes`);
});
