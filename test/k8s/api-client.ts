import { request } from 'node:https';

export interface ApiAccess {
  /** `https://127.0.0.1:port`. */
  readonly url: string;
  /** Certificates that the server is verified against, as PEM. */
  readonly ca: string;
  readonly token: string;
}

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly generation?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
    readonly managedFields?: readonly { readonly manager: string; readonly operation: string }[];
  };
  readonly spec?: unknown;
  readonly status?: unknown;
  readonly data?: Readonly<Record<string, string>>;
}

type Patch = 'application/merge-patch+json' | 'application/strategic-merge-patch+json' | 'application/apply-patch+yaml';

/** What the server said instead of doing it. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
  }
}

/** The few calls of the Kubernetes API that the tests make themselves; all else is helm's. */
export class ApiClient {
  readonly #access: ApiAccess;

  constructor(access: ApiAccess) {
    this.#access = access;
  }

  get<T = KubeObject>(path: string): Promise<T> {
    return this.#call('GET', path);
  }

  async find<T = KubeObject>(path: string): Promise<T | undefined> {
    try {
      return await this.get<T>(path);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async list<T = KubeObject>(path: string): Promise<readonly T[]> {
    return (await this.get<{ items: readonly T[] }>(path)).items;
  }

  post(path: string, body: unknown): Promise<KubeObject> {
    return this.#call('POST', path, body, 'application/json');
  }

  patch(path: string, body: unknown, type: Patch = 'application/merge-patch+json'): Promise<KubeObject> {
    return this.#call('PATCH', path, body, type);
  }

  /** Of what is not there any more, too. */
  async delete(path: string): Promise<void> {
    try {
      await this.#call('DELETE', path);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  }

  #call<T>(method: string, path: string, body?: unknown, type?: string): Promise<T> {
    const { url, ca, token } = this.#access;
    return new Promise<T>((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}`, ...(type === undefined ? {} : { 'content-type': type }) };
      const sent = request(new URL(path, url), { method, ca, headers }, (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('error', reject);
        answer.on('end', () => {
          const text = Buffer.concat(parts).toString();
          const status = answer.statusCode ?? 0;
          if (status >= 300) return reject(new ApiError(status, `${method} ${path}: ${messageOf(text)}`));
          // /readyz answers with a word.
          resolve((text.startsWith('{') ? JSON.parse(text) : text) as T);
        });
      });
      sent.on('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { message?: string }).message ?? text;
  } catch {
    return text;
  }
}
