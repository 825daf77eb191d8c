-- sweep: applies deadlines that have passed, and forgets results whose time is over.
-- ARGV 3 how many of each at most, 4 the node that asks, where callers wait at it
-- Answers swept, whether more are left, and in how many milliseconds the next is due (or nil); unknown-pool.
-- O(limit * log n).
function verbs.sweep(a)
  local limit = tonumber(a[1])
  settle(limit)
  for _, scope in ipairs(call('ZRANGEBYSCORE', ENDS, '-inf', now, 'LIMIT', 0, limit)) do forget(scope) end
  if a[2] then call('ZADD', NODES, now, a[2]) end
  dropDead(limit)
  call('ZREMRANGEBYSCORE', NODES, '-inf', now - 2 * NODE_MS)
  local soonest = soonestOf(HOLDS, LIVES, ENDS)
  return { 'swept', (soonest and soonest <= now or isDue()) and 1 or 0, inMs(soonest) }
end
