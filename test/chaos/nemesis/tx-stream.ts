import { chainAfter, decodeRecord } from '@shapecast/log';
import { natsRequest } from './raw-nats.ts';

/** Name of the newest tx stream. */
export async function txStream(urls: string): Promise<string | undefined> {
  const answer = (await natsRequest(urls, '$JS.API.STREAM.NAMES', undefined)) as { readonly streams?: string[] | null };
  const incarnation = (name: string): number => Number(name.split('_').at(-1));
  return (answer.streams ?? [])
    .filter((name) => name.startsWith('shapecast_tx_'))
    .sort((a, b) => incarnation(a) - incarnation(b))
    .at(-1);
}

/** Which of three servers leads the stream: its name. */
export async function streamLeader(urls: string): Promise<string | undefined> {
  const stream = await txStream(urls);
  if (stream === undefined) return undefined;
  const answer = (await natsRequest(urls, `$JS.API.STREAM.INFO.${stream}`, undefined)) as {
    readonly cluster?: { readonly leader?: string };
  };
  return answer.cluster?.leader;
}

/** Every transaction that commits at or below it is stored as a whole; undefined when the stream cannot be asked. */
export async function storedUpTo(urls: string): Promise<bigint | undefined> {
  try {
    const stream = await txStream(urls);
    if (stream === undefined) return undefined;
    const info = (await natsRequest(urls, `$JS.API.STREAM.INFO.${stream}`, undefined)) as {
      readonly state: { readonly last_seq: number };
    };
    const seq = info.state.last_seq;
    if (seq === 0) return undefined;
    const { message } = (await natsRequest(urls, `$JS.API.STREAM.MSG.GET.${stream}`, { seq })) as {
      readonly message: { readonly data: string };
    };
    const record = decodeRecord(Buffer.from(message.data, 'base64'));
    if (record.kind === 'slice') return undefined;
    const { lsn } = chainAfter(record).position;
    return record.kind === 'data' && record.parts.at(-1)?.commit === false ? lsn - 1n : lsn;
  } catch {
    return undefined;
  }
}
