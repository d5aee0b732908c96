import { parseLsn } from '@shapecast/log';
import type { TimelineEnd } from '../../change-source.ts';

/**
 * The lines of a timeline history file: timeline, where it was left, and a reason, separated by tabs; comments and empty
 * lines may stand between them (Postgres: timeline.c, `readTimeLineHistory`). Throws on anything else: what cannot be read
 * proves nothing (spec R 6.5 C2).
 */
export function parseTimelineHistory(content: string): TimelineEnd[] {
  return content
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(parseLine);
}

function parseLine(line: string): TimelineEnd {
  const [timeline = '', position = ''] = line.split(/\s+/);
  const endLsn = parseLsn(position);
  if (!/^\d{1,10}$/.test(timeline) || endLsn === undefined) throw new Error('timeline history cannot be read');
  return { timeline: Number(timeline), endLsn };
}
