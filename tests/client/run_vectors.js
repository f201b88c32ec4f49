"use strict";

// Reads one call a line ({ environment, model, messages, options, timeout_ms }), makes it with the module that the
// first argument names, and writes a line with what came of it. One process serves all vectors.

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
  const { code, status, summary, requestId, retryable, retryAfter, model, errorType, errorCode } = error;
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
    ...{ request_id: requestId, retry_after: retryAfter, error_type: errorType, error_code: errorCode },
  };
}

async function run({ environment, model, messages, options, timeout_ms: timeoutMs }) {
  process.env = { ...environment };
  const logged = [];
  console.error = (...args) => logged.push(format(...args));
  const begun = performance.now();
  const result = await callSpecificModel(model, messages, { ...options, timeoutMs }).then(
    (answer) => ({ answer }),
    (error) => ({
      error: described(error),
      texts: [String(error), error.stack, inspect(error, { depth: 9, showHidden: true }), JSON.stringify(error)],
    }),
  );
  return { ...result, logged, elapsed_ms: performance.now() - begun };
}

async function main() {
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await run(decoded(JSON.parse(line)))));
  }
}

main();
