// mem0 for OpenClaw: what it remembers is looked up before each turn (Pre-Hook), and what was said is remembered after it
// (Post-Hook). mem0 runs in a Python process of its own, which gets LLM_* and EMBEDDING_MODEL_ID as OpenClaw has them, and
// asks the gateway alone (llm_client.mem0).
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { definePluginEntry } from "openclaw/plugin-sdk/plugin-entry";

const PROGRAM = fileURLToPath(new URL("memory.py", import.meta.url));
const SEARCH_MS = 12_000; // OpenClaw waits 15 s for before_prompt_build, and 30 s for agent_end
const ADD_MS = 28_000;

// One process for all turns: mem0 takes seconds to open, and Qdrant on disk has room for one at a time.
class Memory {
  #python;
  #log;
  #child = null;
  #waiting = new Map();
  #count = 0;

  constructor(python, log) {
    this.#python = python;
    this.#log = log;
  }

  ask(request, milliseconds) {
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id, { error: `no answer within ${milliseconds} ms` }), milliseconds);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#running().stdin.write(`${JSON.stringify({ id, ...request })}\n`);
    });
  }

  stop() {
    this.#child?.stdin.end();
  }

  #running() {
    if (this.#child) return this.#child;
    const child = spawn(this.#python, [PROGRAM], { env: process.env, stdio: ["pipe", "pipe", "pipe"] });
    const ended = (why) => {
      if (this.#child !== child) return;
      this.#child = null;
      for (const id of [...this.#waiting.keys()]) this.#settle(id, { error: why });
    };
    child.on("error", (error) => ended(`${this.#python} does not start: ${error.message}`));
    child.on("exit", (code, signal) => ended(`memory.py has ended (${signal ?? code}); the lines before say why`));
    child.stdin.on("error", (error) => ended(`memory.py takes nothing any more: ${error.message}`));
    createInterface({ input: child.stderr }).on("line", (line) => this.#log.warn(`gateway-mem0: ${line}`));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const answer = JSON.parse(line);
      this.#settle(answer.id, answer);
    });
    this.#child = child;
    return child;
  }

  #settle(id, answer) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return; // it came too late
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (answer.error) waiting.reject(new Error(answer.error));
    else waiting.resolve(answer.memories);
  }
}

const textOf = ({ content }) =>
  typeof content === "string"
    ? content
    : (content ?? []).filter((part) => part.type === "text").map((part) => part.text).join("\n");

// The last thing that a person said, and what was answered.
function lastExchange(messages) {
  const at = messages.findLastIndex((message) => message.role === "user");
  return messages
    .slice(Math.max(at, 0))
    .filter((message) => message.role === "user" || message.role === "assistant")
    .map((message) => ({ role: message.role, content: textOf(message) }))
    .filter((message) => message.content.trim());
}

export default definePluginEntry({
  id: "gateway-mem0",
  name: "mem0 on the gateway",
  description: "Looks up what mem0 remembers before each turn, and has it remember afterwards.",
  register(api) {
    const { python, userId = "default", limit = 5 } = api.pluginConfig;
    const memory = new Memory(python, api.logger);
    // A turn without its memories is better than none.
    const orElse = (what) => (error) => api.logger.warn(`gateway-mem0: ${what}: ${error.message}`);

    api.on("before_prompt_build", async (event) => {
      if (!event.prompt?.trim()) return undefined;
      const found = await memory
        .ask({ search: event.prompt, user: userId, limit }, SEARCH_MS)
        .catch(orElse("nothing was looked up"));
      if (!found?.length) return undefined;
      return { prependContext: `What you remember of this person:\n${found.map((text) => `- ${text}`).join("\n")}` };
    });

    api.on("agent_end", async (event, ctx) => {
      // A private session, as verification asks in, leaves nothing behind.
      if (!event.success || ctx?.sessionKey?.includes(":incognito-")) return;
      const add = lastExchange(event.messages ?? []);
      if (add.length) await memory.ask({ add, user: userId }, ADD_MS).catch(orElse("nothing was remembered"));
    });

    api.on("gateway_stop", () => memory.stop());
  },
});
