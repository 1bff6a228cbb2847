// A JSON WebSocket that comes back by itself.

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 20_000;

/**
 * openSocket("/live/mail/", {onMessage(value), onState(isOpen)}): reconnects with back-off and jitter, at once when
 * the browser comes online or the tab is looked at again. Returns {isOpen(), send(value), close()}.
 */
export function openSocket(path, { onMessage, onState = () => {} }) {
  let socket = null;
  let delay = FIRST_RETRY_MS;
  let timer = null;
  let isClosed = false;

  function connect() {
    clearTimeout(timer);
    if (isClosed || (socket && socket.readyState <= WebSocket.OPEN)) return;
    socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`);
    socket.onopen = () => {
      delay = FIRST_RETRY_MS;
      onState(true);
    };
    socket.onmessage = (event) => onMessage(JSON.parse(event.data));
    socket.onclose = () => {
      onState(false);
      timer = setTimeout(connect, delay * (0.5 + Math.random()));
      delay = Math.min(delay * 2, LAST_RETRY_MS);
    };
  }

  addEventListener("online", connect);
  addEventListener("pageshow", connect);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && connect());
  connect();
  return {
    isOpen: () => socket?.readyState === WebSocket.OPEN,
    send: (value) => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(value)),
    close() {
      isClosed = true;
      clearTimeout(timer);
      socket?.close();
    },
  };
}
