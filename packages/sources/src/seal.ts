import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { ShapecastError } from '@shapecast/errors';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Keeps confidential values where others can read: the registries. */
export interface Seal {
  /** `about` names the place; a text that is moved to another one does not open. */
  seal(value: unknown, about: string): string;
  /** Whether it is sealed with the key that seals now, and not with an older one. */
  isCurrent(sealed: string, about: string): boolean;
  /** Throws INVALID_CONFIG when none of the keys fits. */
  open(sealed: string, about: string): unknown;
}

/** Why these are no keys; nothing when they are. */
export function keyProblem(keys: readonly string[]): string | undefined {
  const fine = keys.length > 0 && keys.every((key) => Buffer.from(key, 'base64').length === KEY_BYTES);
  return fine ? undefined : 'expected 32 bytes in base64, such as openssl rand -base64 32 prints; several with commas';
}

/** AES-256-GCM. `keys` are base64 of 32 bytes: the first one seals, all of them open, so that one can follow another. */
export function sealWith(keys: readonly string[]): Seal {
  const [first, ...rest] = keys.map((key) => Buffer.from(key, 'base64'));
  if (first === undefined) throw new ShapecastError('INVALID_CONFIG', 'There is no key to seal with.');
  return {
    seal(value, about) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', first, nonce).setAAD(Buffer.from(about));
      const body = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64');
    },
    isCurrent: (sealed, about) => tryKey(first, Buffer.from(sealed, 'base64'), about) !== undefined,
    open(sealed, about) {
      const bytes = Buffer.from(sealed, 'base64');
      for (const key of [first, ...rest]) {
        const text = tryKey(key, bytes, about);
        if (text !== undefined) return JSON.parse(text) as unknown;
      }
      throw new ShapecastError('INVALID_CONFIG', 'What is stored for the source was sealed with another key.', {
        about,
      });
    },
  };
}

function tryKey(key: Buffer, bytes: Buffer, about: string): string | undefined {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES)).setAAD(Buffer.from(about));
    decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    const body = bytes.subarray(NONCE_BYTES + TAG_BYTES);
    return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}
