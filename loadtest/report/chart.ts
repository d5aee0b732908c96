import { escapeXml } from './xml.ts';

export interface Line {
  readonly name: string;
  /** Those that are undefined leave a hole. */
  readonly points: readonly (readonly [x: number, y: number | undefined])[];
}

export interface ChartOptions {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Latencies differ by orders of magnitude. Default false. */
  readonly logarithmic?: boolean;
}

const WIDTH = 860;
const HEIGHT = 260;
const MARGIN = { left: 64, right: 16, top: 34, bottom: 42 };
/** Told apart by people who see few colours (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', '#999999'];

/** A chart of lines as SVG, on its own: no script, no style sheet, no font that is not there. */
export function lineChart(lines: readonly Line[], options: ChartOptions): string {
  const shown = lines.filter(({ points }) => points.some(([, y]) => y !== undefined));
  if (shown.length === 0) return '';
  const scale = scaleOf(shown, options.logarithmic ?? false);
  const parts = [
    `<text x="${MARGIN.left}" y="16" class="title">${escapeXml(`${options.title}, ${options.yLabel}`)}</text>`,
    ...gridOf(scale),
    `<text x="${WIDTH / 2}" y="${HEIGHT - 6}" text-anchor="middle">${escapeXml(options.xLabel)}</text>`,
    ...shown.flatMap((line, i) => drawn(line, scale, COLOURS[i % COLOURS.length] as string)),
  ];
  return `<figure><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeXml(options.title)}">${parts.join('')}</svg>${legend(shown)}</figure>`;
}

interface Scale {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
  readonly xTicks: readonly number[];
  readonly yTicks: readonly number[];
}

function scaleOf(lines: readonly Line[], logarithmic: boolean): Scale {
  const all = lines.flatMap(({ points }) => points);
  const xs = all.map(([x]) => x);
  const ys = all.flatMap(([, y]) => (y === undefined ? [] : [y]));
  const [xLow, xHigh] = [Math.min(...xs), Math.max(...xs)];
  const yHigh = Math.max(...ys, logarithmic ? 10 : 1);
  const place = (share: number, from: number, to: number): number => Math.round(10 * (from + share * (to - from))) / 10;
  const toY = (value: number): number =>
    logarithmic ? Math.log10(Math.max(1, value)) / Math.ceil(Math.log10(yHigh)) : value / (niceStep(yHigh) * 5);
  return {
    x: (value) => place((value - xLow) / Math.max(1e-9, xHigh - xLow), MARGIN.left, WIDTH - MARGIN.right),
    y: (value) => place(toY(value), HEIGHT - MARGIN.bottom, MARGIN.top),
    xTicks: ticks(xLow, xHigh),
    yTicks: logarithmic
      ? Array.from({ length: Math.ceil(Math.log10(yHigh)) + 1 }, (_, i) => 10 ** i)
      : Array.from({ length: 6 }, (_, i) => i * niceStep(yHigh)),
  };
}

/** 1, 2 or 5 times a power of ten, five of which reach `high`. */
function niceStep(high: number): number {
  const raw = high / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  return ([1, 2, 5, 10].find((factor) => factor * power >= raw) ?? 10) * power;
}

function ticks(low: number, high: number): readonly number[] {
  const step = Math.max(niceStep(high - low || 1), 1e-9);
  const first = Math.ceil(low / step) * step;
  return Array.from({ length: Math.floor((high - first) / step) + 1 }, (_, i) => first + i * step);
}

function gridOf({ x, y, xTicks, yTicks }: Scale): readonly string[] {
  const bottom = HEIGHT - MARGIN.bottom;
  return [
    ...yTicks.map(
      (tick) =>
        `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y(tick)}" y2="${y(tick)}" class="grid"/>` +
        `<text x="${MARGIN.left - 6}" y="${y(tick) + 4}" text-anchor="end">${numberText(tick)}</text>`,
    ),
    ...xTicks.map((tick) => `<text x="${x(tick)}" y="${bottom + 16}" text-anchor="middle">${numberText(tick)}</text>`),
  ];
}

function drawn({ points }: Line, { x, y }: Scale, colour: string): readonly string[] {
  const runs: string[][] = [[]];
  for (const [at, value] of points) {
    if (value === undefined) runs.push([]);
    else runs.at(-1)?.push(`${x(at)},${y(value)}`);
  }
  return runs.flatMap((run) => {
    if (run.length === 0) return [];
    const [first = ''] = run;
    if (run.length > 1) return [`<polyline points="${run.join(' ')}" style="stroke:${colour}"/>`];
    const [cx = '0', cy = '0'] = first.split(',');
    return [`<circle cx="${cx}" cy="${cy}" r="2" style="fill:${colour}"/>`];
  });
}

function legend(lines: readonly Line[]): string {
  const items = lines.map(
    ({ name }, i) => `<li><span style="background:${COLOURS[i % COLOURS.length]}"></span>${escapeXml(name)}</li>`,
  );
  return `<ul class="legend">${items.join('')}</ul>`;
}

export function numberText(value: number): string {
  const rounded = Math.abs(value) >= 100 ? Math.round(value) : Math.round(value * 100) / 100;
  return String(rounded).replaceAll(/\B(?=(\d{3})+$)/g, ' ');
}
