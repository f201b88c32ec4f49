"use strict";

/**
 * A small client for the LLM gateway, for Node Skills: an answer, or one clear error, in time.
 *
 *     const { callSpecificModel } = require("../shared/llm_client");
 *     const answer = await callSpecificModel("qwen3.5-plus", [{ role: "user", content: "Hello" }]);
 *     const text = answer.choices[0].message.content;
 *
 * The gateway's address and key come from LLM_BASE_URL and LLM_API_KEY, read at each call; where it is gone, those
 * that LLM_FALLBACK_BASE_URLS names, with commas between, are asked (LLM_FALLBACK_API_KEYS: their keys in step, where
 * they are others). Needs Node 18 or newer, nothing else. The Python package `client` does and says the same;
 * tests/client/vectors holds both to it.
 */

const DEFAULT_TIMEOUT_MS = 60_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1; // setTimeout fires at once when asked for more
const RETRIES = 1; // a repeated call may be billed twice, and One API may try several channels itself
const RETRY_BASE_S = 0.5;
// For a connection in all, and for each address of a name but the last: one that is dead must not eat the time of the
// others, and the way may be long. TCP itself tries anew after 1 s and 3 s. A try to a dead host keeps the process.
// The third is for a deadline so short that a dead gateway would eat the time of the next.
const CONNECT_MS = [
  { timeout: 4_000, address: 1_000 }, { timeout: 8_000, address: 4_000 }, { timeout: 1_000, address: 500 },
];
const LAST_MS = 30_000; // so long a gateway that failed comes behind the others
const ANSWER_LIMIT = 32 * 1024 * 1024; // bytes, unpacked
const ERROR_LIMIT = 64 * 1024; // bytes, unpacked
const TEXT_LIMIT = 400; // characters of a summary; One API's messages have at most about 200
const KEY_MIN = 8; // shorter ones, such as the "EMPTY" of servers that ask for none, are words and no secrets
const KEY_PIECE_MIN = 16; // One API cuts "sk-KEY-7" at its hyphens and may echo one piece
// Also what proxies say of a server that they cannot reach (Cloudflare: 520 to 524) and overloaded providers (529).
const RETRYABLE = [408, 429, 502, 503, 504, 520, 521, 522, 523, 524, 529];
const PACKINGS = ["", "identity", "gzip", "x-gzip", "deflate"];
const ODD_NUMBER = /\b(NaN|Infinity)\b/;
const STRING_OR_ODD = /"[^"\\]*(?:\\.[^"\\]*)*"|NaN|-?Infinity/gs;
const ENDING = /(\/+(v1|chat\/completions|completions|embeddings|models))*\/*$/;
const HUNG_UP = ["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"];
const NO_WAY = ["ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL"]; // of a whole family, mostly
// 100.64.0.0/10: CGNAT, where Tailscale's addresses are; fc00::/7 has Tailscale's fd7a:115c:a1e0::/48.
const PRIVATE_IPV4 =
  /^(0\.0\.0\.0$|127\.|10\.|172\.(1[6-9]|2\d|3[01])\.|192\.168\.|169\.254\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/;
const PRIVATE_IPV6 = /^\[(::1\]|fe[89ab][0-9a-f]:|f[cd][0-9a-f]{2}:)/;
const PRIVATE_NAME = /\.(localhost|ts\.net|local|internal|lan|home\.arpa)$/;
const TLS_CODE = /CERT|^(ERR_TLS_|ERR_SSL_|EPROTO$|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_|INVALID_|CRL_|PATH_LENGTH)/;
// Whose fault an error is, where the answer tells, and what stands before its message then.
const REASONS = {
  provider_key: "the provider refuses the gateway's key: ",
  provider_balance: "the balance with the provider is used up: ",
  provider_rate: "the provider's rate limit is reached: ",
  gateway_database: "the gateway cannot read its database: ",
};
// Providers that answer HTTP 200 to a refusal, by their own codes: see client/answers.py.
const MINIMAX = {
  1004: "provider_key", 2049: "provider_key", 1008: "provider_balance", 2056: "provider_balance",
  1002: "provider_rate", 1039: "provider_rate", 1041: "provider_rate", 2045: "provider_rate",
};
const BAIDU = {
  13: "provider_key", 14: "provider_key", 110: "provider_key", 111: "provider_key",
  17: "provider_balance", 19: "provider_balance", 4: "provider_rate", 18: "provider_rate",
};
const TOLD_STATUSES = { 401: "provider_key", 402: "provider_balance", 429: "provider_rate" };
// What is gone or not ready, where neither JSON nor a request ID tells that a gateway answers: see client/answers.py.
const GATEWAY_FAILED = { 502: "during", 503: "before", 504: "during" };
const OVERLOADED = "system_cpu_overloaded"; // new-api's code in a 503 while its host is busy: it relays nothing then
const OWN_TYPES = ["one_api_error", "new_api_error"];
const TOKEN_NOT_READ = "令牌验证失败"; // One API's words for a database that is locked or gone, in a 401
const TRANSIENT = {
  ECONNABORTED: "Software caused connection abort",
  ECONNREFUSED: "Connection refused",
  EHOSTUNREACH: "No route to host",
  ENETUNREACH: "Network is unreachable",
};

/** The one kind of error that leaves this module; callSpecificModel tells what its properties are. */
class LLMError extends Error {
  constructor(code, summary, details = {}) {
    super(summary);
    this.name = "LLMError";
    const nothing = { status: null, model: null, requestId: null, retryAfter: null, errorType: null, errorCode: null };
    const gateways = { gatewayFailed: null, baseUrl: null, failures: {} };
    Object.assign(this, { code, summary, retryable: false, reason: null }, nothing, gateways, details);
    this.cause = { message: summary, status: this.status, type: this.errorType, code: this.errorCode };
  }
}

const configError = (summary) => new LLMError("LLM_CLIENT_CONFIG", summary);
const badAnswer = (summary, details) => new LLMError("LLM_BAD_ANSWER", summary, details);

/**
 * Ask one model for a chat completion.
 *
 * @param {string} modelName the gateway routes by this name
 * @param {object[]} messages at least one `{ role, content }`
 * @param {object} [options] sent as they are (`temperature`, `max_tokens`, ...), but for `timeoutMs`:
 *   milliseconds for the whole call, a retry included; 60000 where it is not given
 * @returns {Promise<object>} the completion as the gateway sent it, with at least one choice; `baseUrl`, which is not
 *   enumerable, is the gateway that answered
 * @throws {Error} with `code` (LLM_CLIENT_CONFIG: the caller's mistake; ETIMEDOUT; LLM_HTTP_STATUS; LLM_BAD_ANSWER:
 *   2xx but no completion; ECONNREFUSED, ECONNRESET, ENOTFOUND, ETLS, ...), `message` = `summary` (one line),
 *   `retryable` (the same call may succeed later), `cause` ({ message, status, type, code }) and, or null, `status`,
 *   `model`, `requestId` (to find the call in One API's logs), `retryAfter` (seconds), `errorType`, `errorCode` (the
 *   gateway's own), `reason` (whose fault: "provider_key", "provider_balance", "provider_rate", "gateway_database"),
 *   `baseUrl` (the gateway asked last), `gatewayFailed` ("before" it could carry out anything, or "during"), `failures`
 *   (what each gateway said, by its URL, where several were asked). No key is in any of them. All but
 *   LLM_CLIENT_CONFIG leave one line on console.error.
 */
async function callSpecificModel(modelName, messages, options = {}) {
  const gateways = readGateways(process.env);
  const { timeoutMs, body } = checkedCall(modelName, messages, options);
  const deadline = startDeadline(timeoutMs);
  const line = redactor(gateways.map(({ key }) => key));
  const asked = { failures: new Map() };
  try {
    // Raced, as fetch may wait for ever, abort or not: in Node 20 and 22 for a body that cannot be unpacked.
    return await Promise.race([send(gateways, body, deadline, asked, line), deadline.passed]);
  } catch (error) {
    const clean = cleanError(error, modelName, asked, line);
    console.error(`[LLM_Client] Error calling ${clean.model}: ${clean.summary}`);
    throw clean;
  } finally {
    clearTimeout(deadline.timer);
  }
}

// --- What the caller gave ---------------------------------------------------------------------

/** The gateways in the order in which they are asked, none twice. */
function readGateways(environment) {
  const base = given(environment, "LLM_BASE_URL");
  const first = gatewayAt(normalBase(base), given(environment, "LLM_API_KEY"), "LLM_API_KEY");
  const [urls, keys] = [places(environment.LLM_FALLBACK_BASE_URLS), places(environment.LLM_FALLBACK_API_KEYS)];
  if (keys.length && keys.length !== urls.length) {
    throw configError(`LLM_FALLBACK_API_KEYS holds ${keys.length} keys for the ${urls.length} addresses of`
      + " LLM_FALLBACK_BASE_URLS: one each, an empty place for the key of the first gateway");
  }
  const others = urls.map((url, number) => (
    gatewayAt(fallbackBase(url), keys[number] || first.key, "LLM_FALLBACK_API_KEYS")
  ));
  return [first, ...others].filter(({ base }, at, all) => all.findIndex((other) => other.base === base) === at);
}

function gatewayAt(base, key, variable) {
  if (/^[!-~]+$/.test(key)) return { base, url: new URL(`${base}/chat/completions`), key };
  throw configError(`the API key (${variable}) holds a character that is not printable ASCII`);
}

const places = (text) => (text?.replaceAll(",", "").trim() ? text.split(",").map((place) => place.trim()) : []);

function fallbackBase(text) {
  if (!text) throw configError("LLM_FALLBACK_BASE_URLS holds an empty place");
  try {
    return normalBase(text);
  } catch (error) {
    throw configError(`LLM_FALLBACK_BASE_URLS: ${error.summary}`);
  }
}

function given(environment, variable) {
  const value = environment[variable];
  if (value === undefined) throw configError(`${variable} is not set: set it`);
  if (!value.trim()) throw configError(`${variable} is blank`);
  return value.trim();
}

/** The base URL ending in /v1, whichever way a person wrote it. */
function normalBase(text) {
  if (/[\p{C}\p{Z}]/u.test(text)) throw configError(`the base URL holds a blank or control character: ${shown(text)}`);
  if (text.includes("\\")) throw configError(`the base URL ${shown(text)} holds a backslash: it needs slashes`);
  const parts = /^(https?:\/\/)([^/?#]+)([^?#]*)(.*)$/i.exec(text);
  if (!parts) throw configError(`the base URL ${shown(text)} needs the form http://host:port or https://host`);
  const [, scheme, host, path, query] = parts;
  if (host.includes("@")) throw configError("the base URL holds a user name or password: only the key opens it");
  if (query) throw configError(`the base URL ${shown(text)} must not hold '?' or '#'`);
  const port = Number(/:(\d+)$/.exec(host)?.[1] ?? 80);
  if (port < 1 || port > 65535) throw configError(`the base URL ${shown(text)} has an impossible port`);
  try {
    return `${new URL(scheme + host).origin}${path.replace(ENDING, "")}/v1`;
  } catch { // URL's own error says no more than "Invalid URL"
    throw configError(`the base URL ${shown(text)} cannot be read: is the port a number?`);
  }
}

/** A URL for an error: without anything that could be a secret in it. */
function shown(text) {
  const open = text.split(/[?#]/, 1)[0].replace(/.*@/s, "[hidden]@").replace(/sk-\S+/g, "sk-[hidden]");
  return `'${JSON.stringify(open.replace(/[\w-]{24,}/g, "[hidden]").slice(0, 120)).slice(1, -1)}'`;
}

function checkedCall(model, messages, options) {
  if (typeof model !== "string" || !model.trim()) throw configError("model must be the name of a model");
  if (!isObject(options)) throw configError("options must be an object");
  const { timeoutMs = DEFAULT_TIMEOUT_MS, ...sent } = options;
  if (sent.stream) throw configError("stream: true is not for this call, which returns the answer whole: leave it out");
  if (!Array.isArray(messages) || !messages.length) {
    throw configError("messages must be a list with at least one message");
  }
  if (!messages.every(isObject)) throw configError("each message must be an object with role and content");
  const doubled = ["model", "messages"].find((name) => name in sent);
  if (doubled) throw configError(`${doubled} is an argument of its own and cannot stand in the options`);
  const body = toJson({ model, messages, ...sent });
  if (typeof timeoutMs !== "number") throw configError("timeoutMs must be a number of milliseconds");
  if (timeoutMs > 0 && timeoutMs <= 1e12) return { timeoutMs, body };
  throw configError("timeoutMs must be a finite number of milliseconds above zero");
}

function toJson(payload) {
  try {
    return JSON.stringify(payload, checkedValue);
  } catch (error) { // also a BigInt, a circle (which Node draws on further lines), or nested too deeply
    throw configError(`the messages or options cannot be sent as JSON: ${error.message.split("\n", 1)[0]}`);
  }
}

/** JSON.stringify would make null of NaN, leave out a function and escape half a surrogate pair, without a word. */
function checkedValue(name, value) {
  if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError(`${name} is ${value}`);
  if (typeof value === "function" || typeof value === "symbol") throw new TypeError(`${name} is a ${typeof value}`);
  if ([name, value].some((text) => typeof text === "string" && /\p{Surrogate}/u.test(text))) {
    throw new TypeError("a text holds half of a surrogate pair, which UTF-8 cannot hold");
  }
  return value;
}

// --- One call over HTTP -----------------------------------------------------------------------

function startDeadline(timeoutMs) {
  const end = performance.now() + timeoutMs;
  const controller = new AbortController();
  const deadline = { signal: controller.signal, leftMs: () => end - performance.now() };
  deadline.passed = new Promise((_, reject) => {
    const stop = () => {
      reject(new LLMError("ETIMEDOUT", `timeout (${Math.round(timeoutMs)}ms)`));
      controller.abort();
    };
    deadline.timer = setTimeout(stop, Math.min(timeoutMs, LONGEST_TIMER_MS));
  });
  return deadline;
}

const lastUntil = new Map(); // of gateways that failed: a dead host must not cost each call the wait for it

/** The gateways, those behind the others that failed just now. */
function inOrder(gateways) {
  const isLast = ({ base }) => Number((lastUntil.get(base) ?? 0) > performance.now());
  return [...gateways].sort((one, other) => isLast(one) - isLast(other));
}

/**
 * The completion that the first try gets which gets one, within the deadline. A gateway that has carried out nothing
 * gives way to the next at once; where it may have, the next is one of the retries, as is another round of them all.
 */
async function send(gateways, body, deadline, asked, line) {
  let waiting;
  [asked.gateway, ...waiting] = inOrder(gateways);
  for (let tried = 1; ;) {
    const { base } = asked.gateway;
    try {
      const answer = await attempt(asked.gateway, body, deadline, waiting.length);
      lastUntil.delete(base);
      return Object.defineProperty(answer, "baseUrl", { value: base });
    } catch (error) {
      const { gatewayFailed } = error;
      const isFree = gatewayFailed === "before";
      asked.failures.set(base, error);
      if (gatewayFailed) lastUntil.set(base, performance.now() + LAST_MS);
      if (gatewayFailed && waiting.length && (isFree || tried <= RETRIES)) {
        tried += Number(!isFree);
        asked.gateway = waiting.shift();
        console.error(`[LLM_Client] ${base}: ${line(error.summary)}; asking ${asked.gateway.base}`);
        continue;
      }
      const any = gatewayFailed && [...asked.failures.values()].find(({ retryable }) => retryable);
      const { retryable, retryAfter } = any || error;
      const pause = 1000 * (retryAfter ?? RETRY_BASE_S * 2 ** (tried - 1) * (0.5 + Math.random() / 2));
      if (!retryable || tried > RETRIES || pause >= deadline.leftMs()) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
      tried += 1;
      if (gatewayFailed) [asked.gateway, ...waiting] = inOrder(gateways);
    }
  }
}

/** One try with one gateway; `others` can be asked yet. */
async function attempt(gateway, body, deadline, others, later = false) {
  const isShort = others > 0 && deadline.leftMs() / (others + 1) < CONNECT_MS[0].timeout;
  const patience = isShort ? 2 : Number(later);
  const begun = performance.now();
  let response;
  try {
    response = await post(gateway, body, deadline.signal, dispatcher(patience, gateway.url.hostname));
    const reply = await read(response);
    if (response.ok) return chatAnswer(reply);
    throw statusError(reply);
  } catch (error) {
    if (error instanceof LLMError) throw error;
    const [cause, waited] = [error.cause ?? error, performance.now() - begun];
    // Those were limits for one connection or address; the deadline is the caller's.
    if (!response && hadNoAnswer(cause, waited > CONNECT_MS[patience].address)) {
      if (!others) return attempt(gateway, body, deadline, others, true);
      const summary = `ETIMEDOUT: ${placeOf(gateway.url)}: no connection in ${(waited / 1000).toFixed(1)} s`;
      throw new LLMError("ETIMEDOUT", summary, { gatewayFailed: "before" });
    }
    // What waits for its next request is as dead, and no try may meet that: so the next one gets new connections.
    if (!response && HUNG_UP.includes(cause.code)) patient = { agents: [] };
    const reached = cause.errors?.find(({ code }) => !NO_WAY.includes(code)); // of a name's addresses
    throw networkError(reached ?? cause.errors?.[0] ?? cause, gateway.url, response);
  }
}

/** Whether an address may yet answer; Node 18 does not tell of those that it gave up. */
function hadNoAnswer({ code, errors }, waited) {
  if (!errors) return code === "UND_ERR_CONNECT_TIMEOUT";
  return waited || errors.some((error) => error.code === "ETIMEDOUT");
}

function post(gateway, body, signal, dispatcher) {
  const headers = {
    Authorization: `Bearer ${gateway.key}`,
    Accept: "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
    "User-Agent": "llm-client (node)",
  };
  const redirect = "manual"; // following one would take the key along
  return fetch(gateway.url, { method: "POST", headers, body, redirect, signal, dispatcher });
}

/**
 * The way of fetch's connections: the program's own where it has set one (a proxy, a CA, a mock), but without the limit
 * of 300 s for headers and body, as a model may think longer, and with more patience for each address of a name than
 * Node's 250 ms. Node shows it nowhere but under this symbol; the second one is that of Node 26.
 *
 * NODE_USE_ENV_PROXY puts one there that asks the environment's proxy, and does not understand NO_PROXY=100.64.0.0/10:
 * private hosts, which no outside proxy reaches, go by the direct one in it.
 */
function dispatcher(patience, host) {
  void globalThis.Headers; // loads undici, and so sets the symbol
  const version = parseInt(process.versions.undici, 10) < 8 ? 1 : 2;
  let set = globalThis[Symbol.for(`undici.globalDispatcher.${version}`)];
  if (!set) return undefined; // that is not Node's own fetch
  if (set.constructor?.name === "EnvHttpProxyAgent" && isPrivate(host)) set = inside(set, "no proxy agent") ?? set;
  const inner = set.constructor?.name === "Agent" ? patientAgent(set, patience) : set;
  return { dispatch: (options, handler) => inner.dispatch({ ...options, headersTimeout: 0, bodyTimeout: 0 }, handler) };
}

/** What undici keeps in a dispatcher under a symbol of this name. */
const inside = (dispatch, name) => (
  dispatch[Object.getOwnPropertySymbols(dispatch).find(({ description }) => description === name)]
);

let patient = { agents: [] };

/** An agent like `agent` with its options, but for the time that a connection may take. */
function patientAgent(agent, patience) {
  if (patient.agent !== agent) patient = { agent, agents: [] };
  patient.agents[patience] ??= new agent.constructor({
    allowH2: false, // which Node 26 alone has by default
    ...inside(agent, "options"),
    factory: inside(agent, "factory"),
    connect: patientConnect(inside(agent, "options")?.connect, CONNECT_MS[patience]),
  });
  return patient.agents[patience];
}

const patientConnect = (connect, { timeout, address }) => (
  typeof connect === "function"
    ? connect
    : { ...connect, timeout, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: address }
);

/** Whether no outside proxy could reach a URL's host: client/proxies.py has the same rules. */
function isPrivate(host) {
  const name = host.toLowerCase().replace(/\.$/, "");
  const mapped = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(name);
  if (mapped) {
    const [high, low] = mapped.slice(1).map((group) => parseInt(group, 16));
    return isPrivate([high >> 8, high & 255, low >> 8, low & 255].join("."));
  }
  if (/^\d+(\.\d+){3}$/.test(name)) return PRIVATE_IPV4.test(name);
  if (name.startsWith("[")) return PRIVATE_IPV6.test(name);
  return !name.includes(".") || PRIVATE_NAME.test(name);
}

/** The whole reply, unpacked; the body of an error is cut, that of an answer may not be too large. */
async function read(response) {
  const { status, ok, headers } = response;
  const limit = ok ? ANSWER_LIMIT : ERROR_LIMIT;
  const reader = response.body?.getReader();
  const pieces = [];
  let size = 0;
  try {
    const packing = (headers.get("content-encoding") ?? "").trim().toLowerCase();
    if (!PACKINGS.includes(packing)) {
      throw badAnswer(`HTTP ${status} with a body packed as ${packing}, which was not asked for`, { status });
    }
    while (reader && size <= limit) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      size += value.length;
    }
  } catch (error) {
    if (ok || !HUNG_UP.includes(error.cause?.code)) throw error; // an error is one, however much of its text came
  } finally {
    reader?.cancel().catch(() => {}); // ends the connection where the body has not ended
  }
  if (ok && size > limit) {
    throw badAnswer(`HTTP ${status} with an answer of more than ${limit >> 20} MiB`, { status });
  }
  const body = Buffer.concat(pieces).subarray(0, limit);
  const [requestId, location] = [headers.get("x-oneapi-request-id"), headers.get("location")];
  return { status, body, requestId, location, retryAfter: seconds(headers.get("retry-after") ?? "") };
}

/** Seconds that a Retry-After (a number of them, or a date) asks for, or null. */
function seconds(retryAfter) {
  if (/^\d+(\.\d+)?$/.test(retryAfter)) return Number(retryAfter);
  const date = /GMT$/.test(retryAfter) ? Date.parse(retryAfter) : NaN;
  return Number.isNaN(date) ? null : Math.max(date - Date.now(), 0) / 1000;
}

const hostOf = (url) => url.hostname.replace(/^\[|\]$/g, "");
const placeOf = (url) => `${hostOf(url)}:${url.port || (url.protocol === "https:" ? 443 : 80)}`;

/** The error for what the network did (`cause`); `response` where the head of an answer had come. */
function networkError(cause, url, response) {
  const code = String(cause.code);
  const [host, place] = [hostOf(url), placeOf(url)];
  const isSent = HUNG_UP.includes(code) || (cause.syscall && !["connect", "getaddrinfo"].includes(cause.syscall));
  const gatewayFailed = response ? null : isSent ? "during" : "before";
  const failed = (name, text, retryable) => new LLMError(name, `${name}: ${text}`, { retryable, gatewayFailed });
  if (TLS_CODE.test(code)) {
    const [reason] = (cause.reason || cause.message).split(";"); // after it Node gives a hint
    return failed("ETLS", `no trusted connection to ${place}: ${reason}`, false);
  }
  if (code === "ENOTFOUND" || code.startsWith("EAI_")) {
    const again = code === "EAI_AGAIN";
    return failed(again ? code : "ENOTFOUND", `the name ${host} cannot be resolved`, again);
  }
  if (HUNG_UP.includes(code)) {
    return failed("ECONNRESET", `${place} closed the connection before its answer ended`, !response);
  }
  const again = !response && code in TRANSIENT;
  if (cause.syscall) return failed(code, `${place}: ${TRANSIENT[code] ?? cause.message}`, again);
  if (response && code.startsWith("Z_")) {
    const { status } = response;
    return badAnswer(`HTTP ${status} with a body that cannot be unpacked`, { status });
  }
  if (cause.message === "bad port") return configError(`Node's fetch never connects to port ${url.port}`);
  if (cause.name === "HTTPParserError") return badAnswer(`${place} does not speak HTTP: ${cause.message}`);
  return badAnswer(`the request to ${place} failed: ${cause.message}`);
}

// --- What came back ---------------------------------------------------------------------------

/** The completion; One API answers 200 to some failures, and with a web page to a wrong path. */
function chatAnswer({ status, requestId, retryAfter, body }) {
  const found = parsed(body);
  const unusable = (what, details) => badAnswer(`HTTP ${status} with ${what}`, { status, requestId, ...details });
  if (!isObject(found)) throw unusable(looksLike(body));
  const codes = [isObject(found.base_resp) ? found.base_resp.status_code : null, found.error_code];
  const failed = codes.some((code) => ![0, "", null, undefined].includes(code));
  if (failed || found.object === "error" || saysSomething(found.error)) {
    const { text, ...details } = complaint(body);
    const reason = details.reason ?? entry(TOLD_STATUSES, details.errorCode);
    const retryable = reason === "provider_rate" || RETRYABLE.map(String).includes(details.errorCode);
    const said = `an error in it: ${entry(REASONS, reason) ?? ""}${text || "no message"}`;
    throw unusable(said, { ...details, reason, retryable, retryAfter });
  }
  const without = (what, { error, ...rest }) => {
    const said = firstText(isObject(error) ? error : rest, "message", "msg");
    return unusable(`an answer without ${what}${said ? `: ${said}` : ""}`);
  };
  const choice = Array.isArray(found.choices) ? found.choices[0] : null;
  if (!isObject(choice)) throw without("choices", found);
  if (!isObject(choice.message) || saysSomething(choice.error)) throw without("a message", choice);
  return found;
}

function statusError({ status, requestId, retryAfter, location, body }) {
  const { text, ...details } = complaint(body);
  const moved = `redirect to ${location || "nowhere"} not followed: it would take the key along`;
  let said = status >= 300 && status < 400 ? moved : text || "no message";
  if (status === 401 && OWN_TYPES.includes(details.errorType) && text.includes(TOKEN_NOT_READ)) {
    details.reason = "gateway_database";
    said = REASONS[details.reason] + text;
  }
  // One API's own 503 says that no channel serves the model: waiting does not help. new-api's has a code for that.
  const noChannel = status === 503
    && (details.errorType === "one_api_error" || details.errorCode === "model_not_found");
  const worthIt = RETRYABLE.includes(status) || ["provider_rate", "gateway_database"].includes(details.reason);
  const isOwn = requestId === null && !isJson(parsed(body));
  const isReady = details.reason !== "gateway_database" && !(status === 503 && details.errorCode === OVERLOADED);
  const gatewayFailed = isReady ? (isOwn && GATEWAY_FAILED[status]) || null : "before";
  Object.assign(details, { status, requestId, retryAfter, gatewayFailed, retryable: worthIt && !noChannel });
  return new LLMError("LLM_HTTP_STATUS", `HTTP ${status}: ${said}`, details);
}

/** What a gateway says is wrong, in any of the shapes in which gateways and providers send it. */
function complaint(body) {
  const found = firstOf(parsed(body));
  const said = (text, type, code, reasons = {}) => (
    { text: text ?? piece(body), errorType: scalar(type), errorCode: scalar(code), reason: entry(reasons, code) }
  );
  if (!isObject(found)) return said(isHtml(body) ? looksLike(body) : null);
  const { base_resp: base } = found;
  const [error, detail] = [firstOf(found.error), firstOf(found.detail)];
  if (isObject(error)) return said(firstText(error, "message", "msg", "code", "type"), error.type, error.code);
  if (error && typeof error === "string") {
    const more = firstText(found, "message", "msg");
    return said(more === null ? error : `${error}: ${more}`);
  }
  if (isObject(base)) return said(firstText(base, "status_msg") ?? "MiniMax refused", null, base.status_code, MINIMAX);
  if (found.error_msg) return said(firstText(found, "error_msg"), null, found.error_code, BAIDU);
  const inner = isObject(detail) ? detail : found;
  const where = Array.isArray(inner.loc) ? inner.loc.slice(1) : []; // FastAPI tells which field: ["body", "max_tokens"]
  const text = firstText(inner, "message", "msg", "detail") ?? piece(body);
  return said([...where, text].join(": "), found.type, found.code);
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isJson = (value) => typeof value === "object" && value !== null;
const saysSomething = (value) => Boolean(value) && (typeof value !== "object" || Object.keys(value).length > 0);
const scalar = (value) => (["number", "string"].includes(typeof value) && value !== "" ? String(value) : null);
const entry = (table, name) => (Object.hasOwn(table, name) ? table[name] : null);
const firstOf = (value) => (Array.isArray(value) && value.length ? value[0] : value); // Gemini and FastAPI wrap errors
const firstText = (found, ...names) => names.map((name) => scalar(found[name])).find((text) => text?.trim()) ?? null;
const piece = (body) => new TextDecoder().decode(body.subarray(0, ERROR_LIMIT)).trim();
const isHtml = (body) => piece(body).startsWith("<");

/** The JSON in `body`, or null: no caller has a use for a JSON null. */
function parsed(body) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
    return ODD_NUMBER.test(text) ? withOddNumbers(text) : JSON.parse(text);
  } catch {
    return null;
  }
}

/** JSON with the numbers that Python's json module writes and reads, and nobody else (vLLM's logprobs hold them). */
function withOddNumbers(text) {
  let mark = "NaN";
  while (text.includes(`"${mark}"`)) mark += "!";
  const odd = (token) => (token === "NaN" ? `"${mark}"` : token.replace("Infinity", "1e999"));
  const strict = text.replace(STRING_OR_ODD, (token) => (token.startsWith('"') ? token : odd(token)));
  return JSON.parse(strict, (_, value) => (value === mark ? NaN : value));
}

/** In words what a body is that should have been a JSON object. */
function looksLike(body) {
  const text = piece(body);
  if (!text) return "an empty body";
  if (isHtml(body)) {
    const title = /<title[^>]*>(.*?)<\/title>/is.exec(text.slice(0, 4096));
    return `a web page${title ? ` (${title[1].trim()})` : ""} instead of JSON: is the base URL right?`;
  }
  return /^[{[]/.test(text) ? "JSON that is cut off or is not an object" : `something that is not JSON: ${text}`;
}

// --- What leaves ------------------------------------------------------------------------------

/** A new error, without a key in any text: the stack of the old one holds its words as they were. */
function cleanError(error, model, { gateway, failures }, line) {
  const told = new Map(failures).set(gateway.base, error);
  const { code = "LLM_ERROR", summary = String(error), ...details } = { ...error, model, baseUrl: gateway.base };
  for (const [name, value] of Object.entries(details)) details[name] = typeof value === "string" ? line(value) : value;
  if (told.size === 1) return new LLMError(code, line(summary), details);
  const said = [...told].map(([base, failure]) => [base, failure.summary ?? String(failure)]);
  const share = Math.floor(TEXT_LIMIT / said.length) - "; ".length;
  details.failures = Object.fromEntries(said.map(([base, text]) => [base, line(text)]));
  return new LLMError(code, said.map(([base, text]) => line(`${base}: ${text}`, share)).join("; "), details);
}

/** Makes a text one line, without a key in any form in which it may be echoed; cut last, as a cut could halve one. */
function redactor(keys) {
  const bare = keys.map((key) => key.replace(/^sk-/, ""));
  const pieces = bare.flatMap((key) => key.split("-")).filter((part) => part.length >= KEY_PIECE_MIN);
  const forms = [...keys, ...bare, ...pieces].filter((form) => form.length >= KEY_MIN);
  const longestFirst = forms.sort((one, other) => other.length - one.length);
  const patterns = longestFirst.map((form) => form.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  const anyForm = new RegExp(patterns.join("|") || "(?!)", "g");
  return (text, limit = TEXT_LIMIT) => {
    const characters = [...text.replace(anyForm, "[key]").replace(/[\p{C}\p{Z}]+/gu, " ").trim()];
    return characters.length <= limit ? characters.join("") : `${characters.slice(0, limit - 1).join("")}…`;
  };
}

module.exports = { callSpecificModel };
