// The mailbox page: its parts are modules of their own.

import "./list.mjs";
import "./reader.mjs";
import "./keys.mjs";
import { startLive } from "./live.mjs";

startLive();
