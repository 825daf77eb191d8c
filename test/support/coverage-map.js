import { readdirSync } from 'node:fs'

// The rooms whose every line, branch and function the suite must reach. What stands outside (the process itself, the
// clock, the configuration) is tested too, partly in child processes, but not measured.
const ROOMS = ['pool', 'memory', 'access', 'http', 'dialects']

const measured = ROOMS.flatMap(room =>
  readdirSync(`src/${room}`, { recursive: true })
    .filter(file => String(file).endsWith('.ts'))
    .map(file => `src/${room}/${file}`)
)

export default () => measured
