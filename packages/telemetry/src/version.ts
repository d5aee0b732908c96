import manifest from '../package.json' with { type: 'json' };

/** Of Shapecast: all its packages have one. */
export const VERSION: string = manifest.version;
