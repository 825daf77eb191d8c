-- lease: a running lease.
-- ARGV 3 id of the key, 4 fence, 5 owner
-- Answers running with the lease; lease-lost; forbidden; unknown-pool. O(log n).
function verbs.lease(a)
  local record = findLease(a[1], tonumber(a[2]))
  if not record then return { 'lease-lost' } end
  return isOwned(record, a[3]) and shown('running', a[1], record, false) or { 'forbidden' }
end
