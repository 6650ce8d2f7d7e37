/** All dashboards. */
import { OPERATOR } from './operator.ts';
import { OVERVIEW } from './overview.ts';
import type { Dashboard } from './panel.ts';
import { STORAGE } from './storage.ts';

export const DASHBOARDS: readonly Dashboard[] = [OVERVIEW, STORAGE, OPERATOR];
