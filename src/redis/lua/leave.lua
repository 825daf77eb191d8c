-- leave: a caller waits no longer.
-- ARGV 3 waiter
-- Answers no-free-key with counts and the time to the next end of a hold, also to one that has been given a key before;
--   behind, where a key may be about to be free, and it waits on; unknown-pool. O(log n).
function verbs.leave(a)
  if isDue() then return { 'behind' } end
  if a[1] then leave(a[1]) end
  return noFreeKey()
end
