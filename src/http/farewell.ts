import type { Duplex } from 'node:stream'

/** How long a client may go on sending after its last answer. */
const LINGER_MS = 5000

/**
 * Ends a connection so that its client sees the last answer. What it still sends is read and thrown away until it closes
 * too: a connection that is closed with bytes unread is reset, and a reset takes back what was answered.
 */
export function endGently(connection: Duplex, lastWords?: string): void {
  connection.end(lastWords)
  // Past Node's parser: what comes now is no request any more.
  connection.removeAllListeners('data')
  connection.on('data', () => undefined)
  const timer = setTimeout(() => connection.destroy(), LINGER_MS).unref()
  connection.once('close', () => clearTimeout(timer))
}
