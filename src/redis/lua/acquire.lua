-- acquire: a lease of a random free key, for a caller that is alone or stands in line.
-- ARGV 3 leaseMs or '', 4 holder, 5 owner, 6 scope of a retry, 7 its fingerprint, 8 whether it would wait ('1'),
--   9 waiter, 10 … random numbers of 0 … 1
-- Answers granted with the lease; waiting with the number of the arrival and the pool's birth; joined (another node's call
--   of this scope waits); no-free-key with counts and the time to the next end of a hold; behind; lease-too-long;
--   overloaded; idempotency-key-reused; unknown-pool.
-- O(log n).
function verbs.acquire(a, passesLine, reserved)
  local leaseMs, holder, owner, scope, fingerprint = tonumber(a[1]) or policy.leaseMs, a[2], a[3], a[4], a[5]
  local waits, waiter = a[6], a[7]
  local served = scope and servedBefore(scope, fingerprint)
  if served then return served end
  if leaseMs > policy.leaseMs then return { 'lease-too-long' } end
  dropDead(LOOKED_AT)
  local before = passesLine and reserved or call('ZCARD', LINE)
  if before < count(FREE) then
    local lease = grant({ a[8], a[9], a[10], a[11] }, leaseMs, holder, owner, scope, fingerprint)
    if lease then return lease end
  end
  -- All that were drawn may have been dead.
  if isDue() or before < count(FREE) then return { 'behind' } end
  if not waits then return noFreeKey() end
  if scope then
    local other = call('HGET', WAITS, scope)
    if other and call('ZSCORE', LINE, other) then return { 'joined' } end
  end
  if before >= MAX_WAITING then return { 'overloaded' } end
  local arrival = call('HINCRBY', POOL, 'arrivals', 1)
  if scope then call('HDEL', WAITS, scope) end
  lineUp(waiter, arrival, scope)
  call('ZADD', NODES, now, string.match(waiter, '^[^:]*'))
  return { 'waiting', arrival, call('HGET', POOL, 'born') }
end
