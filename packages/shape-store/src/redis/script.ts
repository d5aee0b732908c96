import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RedisConnection } from './connection.ts';

export type ScriptArgument = string | number | Buffer;

export interface ScriptCall {
  readonly keys: readonly string[];
  readonly args: readonly ScriptArgument[];
}

/** A Lua script as a function. */
export interface Script<Reply> {
  /** Runs it. A server that does not know the script (restart, fresh replica) is taught first (spec R 12.3.2). */
  (redis: RedisConnection, keys: readonly string[], args: readonly ScriptArgument[]): Promise<Reply>;
  /**
   * Runs it several times in one round trip. In order, but with other clients' commands in between, and when the server
   * had to be taught the script, a call may run twice.
   */
  many(redis: RedisConnection, calls: readonly ScriptCall[]): Promise<Reply[]>;
}

export interface ScriptOptions {
  /** Files of functions to put before the script: Redis scripts cannot import. */
  readonly shared?: readonly string[];
  /** Replies hold bytes, not text. */
  readonly bytes?: boolean;
  /** Runs also when the server is out of memory: it makes room, or is what making room begins with. */
  readonly whenFull?: boolean;
}

/** Reads a script from its file, once, when the process starts. */
export function defineScript<Reply>(url: URL, options: ScriptOptions = {}): Script<Reply> {
  const files = [...(options.shared ?? []).map((file) => new URL(`./${file}`, url)), url];
  const flags = options.whenFull === true ? '#!lua flags=allow-oom\n' : '';
  const text = flags + files.map((file) => readFileSync(file, 'utf8')).join('\n');
  const sha = createHash('sha1').update(text).digest('hex');
  const name = basename(fileURLToPath(url), '.lua');
  const command = options.bytes ? 'callBuffer' : 'call';

  async function many(redis: RedisConnection, calls: readonly ScriptCall[]): Promise<Reply[]> {
    const run = () =>
      redis.run(name, async (client) => {
        const pipeline = client.pipeline();
        for (const { keys, args } of calls) pipeline[command]('EVALSHA', sha, keys.length, ...keys, ...args);
        const results = (await pipeline.exec()) as [Error | null, unknown][];
        // The first error decides: what follows it may only be a consequence.
        for (const [error] of results) if (error) throw error;
        return results.map(([, reply]) => reply as Reply);
      });
    try {
      return await run();
    } catch (error) {
      if (!isUnknownScript(error)) throw error;
      await redis.run(name, (client) => client.script('LOAD', text));
      return await run();
    }
  }

  async function once(
    redis: RedisConnection,
    keys: readonly string[],
    args: readonly ScriptArgument[],
  ): Promise<Reply> {
    const [reply] = await many(redis, [{ keys, args }]);
    return reply as Reply;
  }

  return Object.assign(once, { many });
}

function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof Error && error.cause.message.startsWith('NOSCRIPT');
}
