"use strict";

// Reads one call a line ({ environment, model, messages, options, timeout_ms }), makes it with the module that the
// first argument names, and writes a line with what came of it. One process serves all vectors.

const dns = require("node:dns");
const { createInterface } = require("node:readline");
const { inspect, format } = require("node:util");
const { callSpecificModel } = require(process.argv[2]);

/** The arguments that JSON cannot write. */
function special(name) {
  const circle = [];
  circle.push(circle);
  const values = { circle, undefined, bigint: 10n, function: () => 0 };
  if (!(name in values)) throw new Error(`no special value is called ${name}`);
  return values[name];
}

function decoded(value) {
  if (Array.isArray(value)) return value.map(decoded);
  if (typeof value !== "object" || value === null) return value;
  if ("$number" in value) return Number(value.$number.replace(/^(-?)inf$/i, "$1Infinity"));
  if ("$repeat" in value) return value.$repeat[0].repeat(value.$repeat[1]);
  if ("$special" in value) return special(value.$special);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, decoded(item)]));
}

function described(error) {
  const { code, status, summary, requestId, retryable, retryAfter, model, errorType, errorCode, reason } = error;
  const cause = { message: summary, status, type: errorType, code: errorCode };
  const faults = [
    [!(error instanceof Error), "no Error"],
    [error.name !== "LLMError", "its name"],
    [error.message !== summary, "its message"],
    [JSON.stringify(error.cause) !== JSON.stringify(cause), `its cause ${inspect(error.cause)}`],
  ];
  const wrong = faults.filter(([isWrong]) => isWrong).map(([, what]) => what);
  if (wrong.length) return { code: `wrong: ${wrong.join(", ")}: ${inspect(error)}` };
  return {
    ...{ code, status, summary, retryable, model },
    ...{ request_id: requestId, retry_after: retryAfter, error_type: errorType, error_code: errorCode, reason },
  };
}

const lookUp = dns.lookup;

/** Gives `addresses` for any name, as the system's resolver would. */
function resolving(addresses) {
  const rows = addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
  return (name, options, done) => setImmediate(() => (
    options.all ? done(null, rows) : done(null, rows[0].address, rows[0].family)
  ));
}

async function run({ environment, model, messages, options, resolves, timeout_ms: timeoutMs, before = 0 }) {
  process.env = { ...environment };
  dns.lookup = resolves ? resolving(resolves) : lookUp;
  const logged = [];
  console.error = (...args) => logged.push(format(...args));
  const call = () => callSpecificModel(model, messages, { ...options, timeoutMs });
  await Promise.all(Array.from({ length: before }, call));
  const begun = performance.now();
  const result = await call().then(
    (answer) => ({ answer }),
    (error) => ({
      error: described(error),
      texts: [String(error), error.stack, inspect(error, { depth: 9, showHidden: true }), JSON.stringify(error)],
    }),
  );
  return { ...result, logged, elapsed_ms: performance.now() - begun };
}

/** A number that JSON cannot write, as the vectors write it. */
const encoded = (_, value) => (
  typeof value === "number" && !Number.isFinite(value) ? { $number: String(value) } : value
);

async function main() {
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await run(decoded(JSON.parse(line))), encoded));
  }
}

main();
