// Who reads engagement of the demo bank: find on the collections that the pipeline file names,
// and nothing else. MongoDB has no grants on fields: a view can leave some out.
//
//   mongosh "mongodb://localhost/" deploy/grants/mongodb.js
//
// It asks for the user's password.
const engagement = db.getSiblingDB("demo_engagement");
const collections = [
  "contact",
  "demographics",
  "devices",
  "portfolio",
  "preferences",
  "wish_list",
];
engagement.runCommand({
  createRole: "prefetch_reader",
  privileges: collections.map((collection) => ({
    resource: { db: "demo_engagement", collection },
    actions: ["find"],
  })),
  roles: [],
});
engagement.runCommand({
  createUser: "prefetch_reader",
  pwd: passwordPrompt(),
  roles: ["prefetch_reader"],
});
