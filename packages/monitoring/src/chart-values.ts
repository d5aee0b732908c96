import { THRESHOLDS, type Threshold } from './alerts/thresholds.ts';

const BEGIN = '    # Thresholds begin: made by `npm run docs:metrics` from packages/monitoring.\n';
const END = '    # Thresholds end.\n';

/** values.yaml with the thresholds that we have, each with its description. The rest stays as it is. */
export function withThresholds(values: string): string {
  const begin = values.indexOf(BEGIN);
  const end = values.indexOf(END);
  if (begin < 0 || end < begin) throw new Error('values.yaml has no place for thresholds.');
  return values.slice(0, begin + BEGIN.length) + thresholdLines() + values.slice(end);
}

function thresholdLines(): string {
  const lines = Object.entries(THRESHOLDS).flatMap(([name, { about, levels }]: [string, Threshold]) => {
    const entries = Object.entries(levels);
    const properties = Object.fromEntries(entries.map(([level]) => [level, { type: 'number' }]));
    const schema = JSON.stringify({ additionalProperties: false, properties });
    const flow = entries.map(([level, value]) => `${level}: ${value}`).join(', ');
    return [`      # -- ${about}`, `      # @schema ${schema}`, `      ${name}: { ${flow} }`];
  });
  return `    thresholds:\n${lines.join('\n')}\n`;
}
