// Reads a JSON string a line, each the text of a dotenv file; answers what Node's two readers see in it.
const { createInterface } = require("node:readline");
const { parseEnv } = require("node:util");
const dotenv = require(process.argv[2]);

createInterface({ input: process.stdin }).on("line", (line) => {
  const text = JSON.parse(line);
  console.log(JSON.stringify({ dotenv: dotenv.parse(text), builtin: parseEnv(text) }));
});
