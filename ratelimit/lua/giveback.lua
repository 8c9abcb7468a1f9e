-- Frees the place of an attempt that was not delivered.
--
-- KEYS 1 job
-- ARGV 2 attempt  3 token
-- Returns 1 if token holds the attempt's grant, else 0.

local job = recall(KEYS[1], tonumber(ARGV[2]))
if not job.grant or job.grant.token ~= ARGV[3] then
  return 0
end
fail(job)
return 1
