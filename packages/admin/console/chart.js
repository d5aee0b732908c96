import { fill, h, s } from './dom.js';

const WIDTH = 300;
const HEIGHT = 100;
/** Of the lines of one chart, which has three at most. */
const PLACES = ['', 'second', 'third'];

/**
 * Lines over the last minutes.
 * @typedef {{ title: string, names: readonly string[], text: (value: number | null | undefined) => string }} ChartOptions
 */
export class Chart {
  /** @param {ChartOptions} options */
  constructor(options) {
    this.options = options;
    this.everyMs = 2_000;
    /** @type {(number | null)[][]} */
    this.values = options.names.map(() => []);
    this.now = h('span', { class: 'now' });
    this.top = h('span');
    this.span = h('span');
    this.svg = s('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' });
    const legend =
      options.names.length < 2
        ? undefined
        : h(
            'p',
            { class: 'legend' },
            options.names.map((name, i) => h('span', { class: `key ${PLACES[i] ?? ''}` }, name)),
          );
    this.element = h(
      'figure',
      { class: 'chart' },
      h('figcaption', {}, h('h3', {}, options.title), this.now),
      h('div', { class: 'axis' }, this.top, this.span),
      this.svg,
      legend,
    );
  }

  /**
   * @param {readonly (readonly (number | null)[])[]} series
   * @param {number} everyMs
   */
  set(series, everyMs) {
    this.everyMs = everyMs;
    this.values = this.options.names.map((_, i) => [...(series[i] ?? [])]);
    this.#draw();
  }

  /** @param {readonly (number | undefined)[]} latest */
  add(latest) {
    for (const [i, line] of this.values.entries()) {
      line.push(latest[i] ?? null);
      if (line.length > 150) line.shift();
    }
    this.#draw();
  }

  #draw() {
    const { title, names, text } = this.options;
    const known = this.values.flat().filter((value) => value !== null);
    const top = niceTop(Math.max(0, ...known));
    const length = Math.max(2, ...this.values.map((line) => line.length));
    const lines = this.values.map((line, i) =>
      s('path', { class: `series ${PLACES[i] ?? ''}`, d: pathOf(line, length, top) }),
    );
    const grid = [0.5, HEIGHT / 2, HEIGHT - 0.5].map((y) =>
      s('line', { class: 'grid', x1: 0, x2: WIDTH, y1: y, y2: y }),
    );
    this.svg.replaceChildren(...grid, ...lines);
    const latest = this.values.map((line) => text(line.at(-1)));
    const told = names.length === 1 ? latest[0] : latest.join(' / ');
    fill(this.now, told);
    fill(this.top, known.length === 0 ? 'nothing was told yet' : text(top));
    fill(this.span, `${Math.round(((length - 1) * this.everyMs) / 6_000) / 10} min`);
    this.svg.setAttribute('aria-label', `${title}, now ${names.map((name, i) => `${name} ${latest[i]}`).join(', ')}`);
  }
}

function niceTop(most) {
  if (most <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((value) => value >= most) ?? most;
}

/** Gaps where nothing is known. */
function pathOf(line, length, top) {
  let drawing = false;
  return line
    .map((value, i) => {
      if (value === null) {
        drawing = false;
        return '';
      }
      const x = ((length - line.length + i) / (length - 1)) * WIDTH;
      const y = HEIGHT - 1 - (value / top) * (HEIGHT - 4);
      const step = `${drawing ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
      drawing = true;
      return step;
    })
    .join('');
}
