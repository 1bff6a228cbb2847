// The mailbox page: its parts are modules of their own.

import "./list.mjs";
import "./reader.mjs";
import "./keys.mjs";
import { startLive } from "./live.mjs";

startLive();
if ("serviceWorker" in navigator) navigator.serviceWorker.register("/service-worker.js").catch(() => {}); // not over plain HTTP
