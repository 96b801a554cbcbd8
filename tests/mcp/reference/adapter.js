// The class that the reference server's own tests are about, over our server: each call is a tool call over stdio.
import { spawn } from "node:child_process";
import path from "node:path";
import readline from "node:readline";

const children = new Set();
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));

class Connection {
  constructor(file) {
    const [command, ...more] = JSON.parse(process.env.AIOMEMDB_MCP_COMMAND);
    const database = path.join(process.env.AIOMEMDB_MCP_FOLDER, `${path.basename(file)}.db`);
    const mirror = process.env.AIOMEMDB_MCP_MIRROR ? ["--mirror", file] : [];
    this.child = spawn(command, [...more, "--file", database, "--names", "exact", ...mirror], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    children.add(this.child);
    this.child.unref();
    this.waiting = new Map();
    this.asked = 0;
    readline.createInterface({ input: this.child.stdout }).on("line", (line) => {
      const message = JSON.parse(line);
      const settle = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      settle?.(message);
    });
    this.ready = this.begin();
  }

  async begin() {
    const clientInfo = { name: "reference tests", version: "1" };
    await this.request("initialize", { protocolVersion: "2025-06-18", capabilities: {}, clientInfo });
    this.child.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
  }

  request(method, params) {
    const id = ++this.asked;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.child.stdin.write(JSON.stringify({ jsonrpc: "2.0", id, method, params }) + "\n");
    });
  }

  async call(name, args) {
    await this.ready;
    const { result, error } = await this.request("tools/call", { name, arguments: args });
    if (error) throw new Error(error.message);
    if (result.isError) throw new Error(result.content[0].text);
    return result.structuredContent;
  }
}

export class KnowledgeGraphManager {
  constructor(file) {
    this.connection = new Connection(file);
  }
  createEntities = async (entities) => (await this.connection.call("create_entities", { entities })).entities;
  createRelations = async (relations) => (await this.connection.call("create_relations", { relations })).relations;
  addObservations = async (observations) => (await this.connection.call("add_observations", { observations })).results;
  deleteEntities = (entityNames) => this.connection.call("delete_entities", { entityNames });
  deleteObservations = (deletions) => this.connection.call("delete_observations", { deletions });
  deleteRelations = (relations) => this.connection.call("delete_relations", { relations });
  readGraph = () => this.connection.call("read_graph", {});
  searchNodes = (query) => this.connection.call("search_nodes", { query });
  openNodes = (names) => this.connection.call("open_nodes", { names });
}
