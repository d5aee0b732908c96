import { writeFileSync } from 'node:fs';
import { copiedFiles } from '../copied-files.ts';
import { CHART } from '../paths.ts';
import { generatedFiles } from '../values-docs.ts';

for (const [path, text] of [...generatedFiles(), ...copiedFiles()]) writeFileSync(`${CHART}/${path}`, text);
