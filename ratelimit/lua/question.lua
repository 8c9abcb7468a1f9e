-- Part of the admission: what is asked, and how a grant is told.
--
-- KEYS 1 job
-- ARGV 2 digest  3 sender  4 customer  5 pool  6 priority  7 attempt
--      8 token (empty: reserve)  9 free form  10 template (2: paused)  11 expires at
-- Returns outcome, at, now, reason, detail, pool, counted, in window, SID,
--      settled; times in µs, -1 for none; truths 1 or 0.

local sender_name, customer, priority, token = ARGV[3], ARGV[4], ARGV[6], ARGV[8]
local reserving = token == ''
local job = read(KEYS[1], tonumber(ARGV[7]))
-- What the customer's places in the sender's and the pool's window bear, and
-- whether the job needs one that the customer does not have.
local in_sender, in_pool, needs_place

local function verdict(outcome, v)
  return {
    outcome, v.at or -1, v.now or now, v.reason or '', v.detail or '', v.pool or '',
    v.counted and 1 or 0, v.in_window and 1 or 0, v.sid or '', v.settled and 1 or 0,
  }
end

local function granted(grant)
  local counted = grant.counted and 1 or 0
  return { 'go', grant.at, grant.given, '', '', grant.pool, counted, 1 - counted, '', 0 }
end
