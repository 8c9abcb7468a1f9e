-- Frees the place of an attempt that was not delivered.
--
-- KEYS 1 job
-- ARGV 10 attempt  11 token
-- Returns 1 if token holds the attempt's grant, else 0.

local job = read(KEYS[1], tonumber(ARGV[10]))
if not job.grant or job.grant.token ~= ARGV[11] then
  return 0
end
fail(job)
return 1
