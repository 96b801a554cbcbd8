// The page's server: it answers for parts of the memory, and tells what is written.

export async function connect() {
  throw new Error("This page has no data.");
}
