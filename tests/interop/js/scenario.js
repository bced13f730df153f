// What the driver and the server of this folder agree on: the texts, the limits, and how a result is told.
//
// The same scenario as in the other languages' folders; see ../README.md. Knows no SDK.

import { randomUUID } from 'node:crypto';

// New with each run: an agent with a workspace tells of what changed in it. Everybody else echoes the whole text.
export const HELLO = `hello ${randomUUID()}`;
export const WRITE_HELLO = `write hello.txt ${HELLO}`;
export const CHUNKS = 5;
export const STREAM = `spam ${CHUNKS}`;
export const ASK = 'input Which colour?';
export const ANSWER = `blue ${randomUUID()}`;
export const WRITE_ANSWER = `write answer.txt ${ANSWER}`;
export const HANG = 'hang';
// One chunk of the directive that the benches use.
export const BULK = '0123456789abcdef'.repeat(4);
export const UNKNOWN = '00000000-0000-7000-8000-000000000000';
export const TOKEN = 'interop-token';

// Milliseconds for one operation. The slowest one starts a real agent process and stops it again.
const LIMIT = 30_000;

/** The SDK has no such operation; the message says what is missing. */
export class Absent extends Error {}

/** Fails the operation unless `condition` holds. */
export function check(condition, what) {
  if (!condition) throw new Error(what);
}

function tell(op, ok, detail) {
  process.stdout.write(`${JSON.stringify({ op, ok, detail })}\n`);
}

/**
 * Runs each `[name, function]` in turn, each within its limit, and tells how it went; without the first, the card, there is
 * no second.
 */
export async function run(operations) {
  for (const [number, [op, operation]] of operations.entries()) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${LIMIT / 1000} s`)), LIMIT);
    });
    try {
      const detail = await Promise.race([operation(), late]);
      tell(op, true, detail ?? '');
    } catch (error) {
      if (error instanceof Absent) {
        tell(op, null, error.message);
      } else {
        console.error(error);
        tell(op, false, `${error.name}: ${error.message}`.slice(0, 400));
      }
      if (number === 0) return;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Splits what a test says into `[directive, rest]`; a text without a directive is an echo. */
export function parseDirective(text) {
  const trimmed = text.trim();
  const space = trimmed.indexOf(' ');
  const word = space < 0 ? trimmed : trimmed.slice(0, space);
  if (['spam', 'chunks', 'input', 'hang'].includes(word)) {
    return [word, space < 0 ? '' : trimmed.slice(space + 1)];
  }
  return ['echo', text];
}
