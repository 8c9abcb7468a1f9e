-- Part: how long a job is remembered.

-- Lets a job be forgotten after some time, and not while a copy of it may still
-- come: the job would begin anew with that. A hundred years is enough, and more
-- may be beyond what a server can count.
local function forget(hash, left)
  local copies = tonumber(call('HGET', hash, 'u') or '0')
  call('PEXPIRE', hash, ms(math.max(left, math.min(copies + RETENTION - now, 3.2e15))))
end
