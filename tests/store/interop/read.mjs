// Reads profiles with node-redis, as told on standard input; writes what it got, as JSON.
import { createClient } from "redis";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { url, userIds, paths, index, queries } = JSON.parse(Buffer.concat(chunks));

// What RFC 3986 calls reserved is encoded in keys; encodeURIComponent leaves five of these out.
const encoded = (userId) =>
  encodeURIComponent(userId).replace(/[!'()*]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase());

const client = createClient({ url, socket: { reconnectStrategy: false } });
client.on("error", (error) => console.error(error.message));
await client.connect();
try {
  const documents = {}, parts = {}, seen = {}, found = {};
  for (const userId of userIds) {
    const key = `interop:${encoded(userId)}`;
    const profile = await client.json.get(key);
    documents[userId] = profile;
    parts[userId] = await client.json.get(key, { path: paths });
    // As JavaScript sees it, before anything is written as text again.
    seen[userId] = profile && {
      largest: BigInt(profile.values.largest).toString(),
      beyond: BigInt(profile.values.beyond).toString(),
      balanceType: typeof profile.values.balance,
      codePoints: [...profile.identity.name].length,
      nothing: profile.identity.nothing === null,
      absent: "absent" in profile.identity,
      moment: new Date(profile.values.moment).getTime(),
    };
  }
  for (const query of queries) {
    const { total, documents: hits } = await client.ft.search(index, query, { DIALECT: 2 });
    found[query] = { total, profiles: hits.map(({ id, value }) => [id, value]) };
  }
  process.stdout.write(JSON.stringify({ documents, parts, seen, found }));
} finally {
  client.destroy();
}
