import { connect } from 'node:net';

// A process of its own: asks for one path again and again over some connections and throws the bytes away unparsed. Arguments:
// port, path, connections, seconds.

const [port, path, connections, seconds] = process.argv.slice(2) as [string, string, string, string];
const request = `GET ${path} HTTP/1.1\r\nhost: bench\r\n\r\n`;
const LAST_CHUNK = '\r\n0\r\n\r\n';
const buffer = Buffer.allocUnsafeSlow(2 * 1024 * 1024);
let answers = 0;
let bytes = 0;
const latencies: number[] = [];
let wrong = '';
let over = false;

function start(): Promise<void> {
  return new Promise((resolve, reject) => {
    /** Of an answer with its head; 0: not known yet, Infinity: until the last chunk. */
    let size = 0;
    let got = 0;
    let asked = performance.now();
    const socket = connect({
      port: Number(port),
      host: '127.0.0.1',
      onread: {
        // Shared by all connections: nothing of it is looked at after the callback.
        buffer,
        callback: (length) => {
          got += length;
          bytes += length;
          if (size === 0) size = sizeOf(buffer.toString('latin1', 0, Math.min(length, 8_192)));
          const complete =
            size === Infinity ? buffer.toString('latin1', Math.max(0, length - 7), length) === LAST_CHUNK : got >= size;
          if (!complete) return true;
          if (got > size) wrong ||= `an answer of ${got} bytes instead of ${size}`;
          answers += 1;
          latencies.push(performance.now() - asked);
          got = 0;
          size = 0;
          asked = performance.now();
          if (over) socket.destroy();
          else socket.write(request);
          return true;
        },
      },
    });
    socket.setNoDelay(true);
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.write(request);
  });
}

function sizeOf(text: string): number {
  const end = text.indexOf('\r\n\r\n');
  const length = /\r\ncontent-length: (\d+)/.exec(text);
  if (!text.startsWith('HTTP/1.1 200') || end < 0) wrong ||= `an unexpected answer: ${text.slice(0, 300)}`;
  return length === null ? Infinity : end + 4 + Number(length[1]);
}

setTimeout(() => (over = true), Number(seconds) * 1000);
const started = performance.now();
await Promise.all(Array.from({ length: Number(connections) }, start));
const elapsed = (performance.now() - started) / 1000;
latencies.sort((a, b) => a - b);
const at = (part: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * part))] ?? 0;
process.send?.({ answers, bytes, seconds: elapsed, p50Ms: at(0.5), p99Ms: at(0.99), wrong });
process.disconnect?.();
