import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

// Each bench in a process of its own, one after the other: none inherits another's heap.
for (const bench of ['pool', 'http', 'durable', 'storm', 'peers', 'redis']) {
  const script = fileURLToPath(new URL(`${bench}.js`, import.meta.url))
  const { status } = spawnSync(process.execPath, ['--expose-gc', '--max-old-space-size=8192', script], {
    stdio: 'inherit'
  })
  if (status !== 0) process.exit(status ?? 1)
}
