/** docs/configuration.md, from the table of settings. A test compares; `UPDATE_GOLDEN=1` rewrites it. */
import { SECTIONS, flagsOf, settingOf, variablesOf } from './settings.ts';
import type { SettingName } from './settings.ts';

const INTRODUCTION = `# Configuration of a node

A setting is looked for on the command line of \`walrus node\`, then in the environment, then in the configuration file,
and has its default otherwise. \`walrus node --print-config\` shows each value with its source.

- **Flags**: \`--max-frame-bytes 2MiB\` or \`--max-frame-bytes=2MiB\`.
- **Environment**: \`WALRUS_MAX_FRAME_BYTES=2MiB\`. Empty variables count as absent. The variables that Kubernetes makes
  for Services (\`WALRUS_..._SERVICE_HOST\`, \`tcp://...\`) are ignored.
- **File**: \`--config FILE\` or \`WALRUS_CONFIG=FILE\`; one JSON object: \`{"maxFrameBytes": "2MiB", "join": ["a:6001"]}\`.

Sizes without a unit are bytes, times without a unit are milliseconds. An unknown setting, a value out of range and
two values that contradict each other are errors (\`INVALID_CONFIG\`), all of them reported at once; the node does not start.

This file is generated from \`node/config/settings.ts\`.
`;

/** The whole document. */
export function configurationDocument(): string {
  const sections = Object.entries(SECTIONS).map(([title, section]) => {
    const entries = (Object.keys(section) as SettingName[]).map(entryOf);
    return `\n## ${title}\n\n${entries.join('\n')}`;
  });
  return `${INTRODUCTION}${sections.join('')}`;
}

function entryOf(name: SettingName): string {
  const setting = settingOf(name);
  const flags = flagsOf(name).map((flag) => `\`--${flag}\``);
  const variables = variablesOf(name).map((variable) => `\`${variable}\``);
  const value = setting.format(setting.default);
  return [
    `### \`${name}\``,
    '',
    setting.description,
    '',
    `- Flag: ${flags.join(', also ')}`,
    `- Environment: ${variables.join(', also ')}`,
    `- Value: ${setting.range}`,
    `- Default: ${value === '' ? 'empty' : `\`${value}\``}`,
    '',
  ].join('\n');
}
