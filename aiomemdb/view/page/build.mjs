// Builds the page's program and style into ../built, and notes their hashes. The output is committed: users need no
// node. `make page` runs it; `node build.mjs --check` only compares.

import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const options = { bundle: true, minify: true, write: false, charset: "ascii", legalComments: "none", logLevel: "warning" };
const target = ["es2022"];
const program = await build({ ...options, entryPoints: ["src/main.js"], format: "iife", target });
const style = await build({ ...options, entryPoints: ["src/style.css"] });

// In an element <script>, these would begin or end markup.
const script = program.outputFiles[0].text.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--").trimEnd();
const files = {
  "page.js": script,
  "page.css": style.outputFiles[0].text.trimEnd(),
};
const hashes = Object.entries(files).map(([name, text]) => `${createHash("sha256").update(text).digest("hex")}  ${name}\n`);
files["SHA256SUMS"] = hashes.join("");

for (const [name, text] of Object.entries(files)) {
  const path = new URL(`../built/${name}`, import.meta.url);
  if (!process.argv.includes("--check")) await writeFile(path, text);
  else if ((await readFile(path, "utf8")) !== text) {
    console.error(`built/${name} is not what the sources make: run \`make page\``);
    process.exitCode = 1;
  }
}
