// Uploads a file with tus-js-client; tells how far it is as JSON lines. Usage: node web_tus.mjs ORDER.json
import { createRequire } from "node:module";
import fs from "node:fs";

const order = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const { Upload } = createRequire(order.modules + "/")("tus-js-client");
const tell = (message) => process.stdout.write(JSON.stringify(message) + "\n");

const upload = new Upload(fs.createReadStream(order.file), {
  endpoint: order.url + "/api/uploads",
  headers: { Authorization: "Bearer " + order.token },
  chunkSize: order.chunk,
  uploadSize: fs.statSync(order.file).size,
  retryDelays: [200, 500, 1000, 1000, 2000, 2000, 3000, 3000, 5000, 5000, 5000],
  metadata: { filename: order.name, quality: "fast" },
  onProgress: (sent) => tell({ sent }),
  onChunkComplete: (size, accepted) => tell({ accepted }),
  onAfterResponse: (request, response) => {
    if (request.getMethod() === "HEAD") tell({ resumed: Number(response.getHeader("Upload-Offset")) });
  },
  onError: (error) => {
    tell({ error: String(error) });
    process.exit(1);
  },
  onSuccess: ({ lastResponse }) => tell({ job: lastResponse.getHeader("X-Job") }),
});
upload.start();
