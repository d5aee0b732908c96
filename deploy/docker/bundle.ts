import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile, type Plugin } from 'esbuild';

/**
 * Makes `dist/`: everything that runs, as JavaScript without a node_modules folder, and the files that the code reads beside itself. Node.js
 * runs our TypeScript as it is, but not below node_modules, where npm would put the packages of the project in an image.
 */
const ROOT = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');
const OUT = resolve(process.argv[2] ?? `${ROOT}/deploy/docker/dist`);
const LICENSE = /^(licen[cs]e|notice|copying)/i;

/** `new URL('./x', import.meta.url)`: the one form in which code names a file beside it. */
const BESIDE = /new URL\(\s*'([^']+)',\s*import\.meta\.url\s*,?\s*\)/g;

/** Files that code names are copied, code that it names (a worker thread) becomes a program of its own; both are found in `dist/` again. */
function filesBeside(threads: Map<string, string>): Plugin {
  return {
    name: 'files-beside',
    setup(step) {
      step.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        if (path.includes('/node_modules/')) return undefined;
        const text = readFileSync(path, 'utf8');
        const contents = text.replace(BESIDE, (_, name: string) => {
          return `new URL('./${placeOf(resolve(dirname(path), name), threads)}', import.meta.url)`;
        });
        const left = contents.replaceAll(/new URL\('\.\/[^']+', import\.meta\.url\)/g, '');
        if (/import\.meta\.(url|dirname|filename)/.test(left)) {
          throw new Error(`${relative(ROOT, path)} names a file in a way that the bundle does not follow.`);
        }
        return { contents, loader: 'ts' };
      });
    },
  };
}

function placeOf(target: string, threads: Map<string, string>): string {
  if (target.endsWith('.ts')) {
    const name = basename(target, '.ts');
    threads.set(name, target);
    return `${name}.js`;
  }
  const place = join('files', relative(ROOT, target));
  const folder = statSync(target).isDirectory();
  // Whoever reads one of a folder may read its neighbours by name, as scripts of Redis do.
  const from = folder || !target.endsWith('.lua') ? target : dirname(target);
  const to = join(OUT, 'files', relative(ROOT, from));
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { recursive: true, filter: (file) => !/\.ts$|\/tsconfig\.json$/.test(file) });
  return folder ? `${place}/` : place;
}

async function bundle(entryPoints: Record<string, string>, threads: Map<string, string>): Promise<Metafile> {
  const { metafile } = await build({
    entryPoints,
    outdir: OUT,
    bundle: true,
    // Code that several programs share is there once.
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    sourcemap: true,
    sourcesContent: false,
    metafile: true,
    logLevel: 'warning',
    absWorkingDir: ROOT,
    // An optional part of `pg` in C, which nobody asks for.
    external: ['pg-native'],
    // Packages that were written for require().
    banner: {
      js: `import { createRequire as $createRequire } from 'node:module'; const require = $createRequire(import.meta.url);`,
    },
    plugins: [filesBeside(threads)],
  });
  return metafile;
}

interface Bundled {
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  readonly license: string;
}

/** The packages of others that the bundle has code of. */
function bundledPackages({ inputs }: Metafile): readonly Bundled[] {
  const folders = new Set(
    Object.keys(inputs).flatMap((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []),
  );
  return [...folders].sort().map((path) => {
    const folder = join(ROOT, path);
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Bundled;
    return { folder, name, version, license };
  });
}

/** Their licences, as these ask for. */
function notices(packages: readonly Bundled[]): string {
  const texts = packages.map(({ folder, name, version, license }) => {
    const files = readdirSync(folder)
      .filter((file) => LICENSE.test(file))
      .flatMap((file) => textsAt(join(folder, file)));
    return [`${name} ${version} (${license})`, ...files];
  });
  return `${texts.map((text) => text.join('\n\n')).join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}

/** Some packages have a folder of them. */
function textsAt(path: string): readonly string[] {
  if (!statSync(path).isDirectory()) return [readFileSync(path, 'utf8').trim()];
  return readdirSync(path)
    .sort()
    .flatMap((file) => textsAt(join(path, file)));
}

/** What the program is made of, in SPDX 2.3: that which was bundled, not everything that was installed. The same input makes the same text. */
function billOfMaterials(packages: readonly Bundled[], version: string): unknown {
  const idOf = (name: string, of: string) => `SPDXRef-${`${name}-${of}`.replaceAll(/[^A-Za-z0-9.-]/g, '-')}`;
  const own = { name: 'shapecast', version, license: 'Apache-2.0' };
  const created = new Date(Number(process.env['SOURCE_DATE_EPOCH'] ?? 0) * 1_000).toISOString();
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `shapecast-${version}`,
    documentNamespace: `https://spdx.org/spdxdocs/shapecast-${version}`,
    creationInfo: { created: created.replace('.000Z', 'Z'), creators: ['Tool: deploy/docker/bundle.ts'] },
    packages: [own, ...packages].map(({ name, version: of, license }) => ({
      SPDXID: idOf(name, of),
      name,
      versionInfo: of,
      downloadLocation: 'NOASSERTION',
      licenseConcluded: 'NOASSERTION',
      licenseDeclared: license,
      externalRefs: [
        {
          referenceCategory: 'PACKAGE-MANAGER',
          referenceType: 'purl',
          referenceLocator: `pkg:npm/${name.replace('@', '%40')}@${of}`,
        },
      ],
    })),
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: idOf(own.name, version) },
      ...packages.map(({ name, version: of }) => ({
        spdxElementId: idOf(own.name, version),
        relationshipType: 'CONTAINS',
        relatedSpdxElement: idOf(name, of),
      })),
    ],
  };
}

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
const entries = { shapecast: `${ROOT}/deploy/docker/src/shapecast.ts` };
const threads = new Map<string, string>();
let metafile = await bundle(entries, threads);
// Threads are known once the code that starts them was read. They share what they can with the programs.
if (threads.size > 0) {
  for (const file of readdirSync(OUT)) if (/\.js(\.map)?$/.test(file)) rmSync(join(OUT, file));
  metafile = await bundle({ ...entries, ...Object.fromEntries(threads) }, threads);
}
const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as { version: string };
writeFileSync(
  `${OUT}/package.json`,
  `${JSON.stringify({ name: 'shapecast', version, private: true, type: 'module' })}\n`,
);
const packages = bundledPackages(metafile);
writeFileSync(`${OUT}/NOTICES.txt`, notices(packages));
writeFileSync(`${OUT}/sbom.spdx.json`, `${JSON.stringify(billOfMaterials(packages, version), undefined, 2)}\n`);
if (existsSync(`${ROOT}/LICENSE`)) cpSync(`${ROOT}/LICENSE`, `${OUT}/LICENSE`);
