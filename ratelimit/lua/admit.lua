-- Decides whether one attempt of a job may go now, and if so takes its place,
-- its rate and the grant. Without a token it reserves them.
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
  return verdict('go', { at = grant.at, now = grant.given, pool = grant.pool,
    counted = grant.counted, in_window = not grant.counted })
end

-- What an earlier grant of this attempt, or a later attempt, means for this one.
local function earlier()
  local grant, superseded = job.grant, job.latest > job.attempt
  if not grant or grant.state == 'r' then
    return superseded and verdict('prior', { settled = true }) or nil
  end
  -- A place given back settles nothing: why it was is in the log only later,
  -- and a crash in between must not let the job be dropped.
  local settled = grant.sid or grant.state == 'd' or superseded or job.ended_with >= job.attempt
  if grant.token == token and grant.state == 'g' and not settled and now <= grant.given + life then
    return granted(grant)
  end
  return verdict('prior', { at = grant.given, pool = grant.pool, counted = grant.counted,
    in_window = not grant.counted, sid = grant.sid, settled = settled })
end

-- An attempt whose outcome was unknown may prove to have reached the provider
-- after the next one was decided on. That next one must not be sent.
local function arrived()
  if job.attempt < 2 then
    return nil
  end
  local n = us(job.attempt - 1)
  local f = call('HMGET', job.hash, 'g' .. n, 'i' .. n)
  local before = unpack_grant(f[1], nil, f[2])
  if before and (before.state == 'd' or (before.state == 'g' and before.sid)) then
    return verdict('prior', { at = before.given, sid = before.sid, settled = true, reason = 'arrived' })
  end
end

-- Ends the job. What is true now: every later copy of it gets the same answer,
-- until the log tells its end; a crash before the event is in the log is made
-- up for by the next delivery.
local function finish(outcome, reason)
  if not reserving then
    drop_reservation(job)
    unmark(job)
    unshelve(job)
    save(job)
    call('HDEL', job.hash, 'c')
    call('HSET', job.hash, 'o', us(job.attempt) .. '|' .. outcome .. '|' .. reason)
    call('PEXPIRE', job.hash, ms(retention))
  end
  return verdict(outcome, { reason = reason })
end

local function over()
  if job.ended_with >= job.attempt then
    return verdict('ended', { reason = job.status })
  end
  if job.decided_for >= job.attempt then
    return verdict(job.outcome, { reason = job.reason })
  end
  if job.canceled then
    return finish('canceled', '')
  end
  local expires = tonumber(ARGV[11])
  if expires and expires <= now then
    return finish('expired', '')
  end
end

-- What the customer has said, to this sender and to all.
local function suppressed(sender, said)
  local out, opted_in = false, false
  for i = 1, 2 do
    local choice = said[i] and string.match(said[i], '^%a+')
    out = out or choice == 'out'
    opted_in = opted_in or choice == 'in'
  end
  if out then
    return finish('suppressed', 'opted_out')
  end
  if sender.require_opt_in and not opted_in then
    return finish('suppressed', 'opt_in')
  end
end

-- What is true now: the job is known to wait and holds nothing. A crash before
-- it lies in the waiting room leaves a mark too many, which healing takes away.
local function park(sender, reason, detail, at)
  drop_reservation(job)
  mark(job, sender.pool, priority, needs_place)
  if job.lies and needs_place then
    call('ZREM', ready_key .. sender_name, job.lies)
  elseif job.lies then
    make_ready(sender_name, priority, job.lies)
  end
  save(job)
  return verdict('park', { reason = reason, detail = detail, at = at, pool = sender.pool })
end

-- What is true now: the job holds nothing and stands in nobody's way. It comes
-- back by itself, when its template is looked at again.
local function withheld()
  drop_reservation(job)
  unmark(job)
  unshelve(job)
  save(job)
  return verdict('park', { reason = 'template_paused' })
end

local function paused(sender, pool, all)
  if all[2] == '1' then
    return park(sender, 'paused', all[3])
  elseif sender.paused then
    return park(sender, 'sender_paused', sender.reason)
  elseif sender.tripped_until > now then
    return park(sender, 'sender_paused', sender.fault, sender.tripped_until)
  elseif pool.paused then
    return park(sender, 'pool_paused', pool.reason)
  elseif pool.closed then
    return park(sender, 'pool_closed')
  end
end

-- How many places of a limit are free; nil without a limit. Old entries take
-- none, but are told apart only where it matters: with no more than enough left.
local function free(window, limit, enough)
  if limit < 0 then
    return nil
  end
  local left = limit - call('ZCARD', window)
  return left > enough and left or limit - used(window)
end

-- When a window that lacks places for a limit has one again; 0 if time alone
-- does not help.
local function back_at(window, limit, left)
  if limit <= 0 then
    return 0
  end
  local place = call('ZRANGEBYSCORE', window, '(' .. cutoff_text, '+inf', 'WITHSCORES', 'LIMIT', 0 - left, 1)
  return tonumber(place[2]) + span
end

-- Who needs a place and waits, at this job's priority or above: jobs of its own
-- sender, whose turn at the rate comes before too, and jobs of the pool.
local function ahead(sender, pool)
  local same, all = 0, 0
  for p = 1, tonumber(priority) + 1 do
    same = same + tonumber(sender.need[p] or '0')
    all = all + tonumber(pool.need[p] or '0')
  end
  if job.mark then
    local own, need, own_pool = string.match(job.mark, '^(%d)|%d+|(%d)|(.*)$')
    if need == '1' and own <= priority then
      same = same - 1
      all = own_pool == pool.name and all - 1 or all
    end
  end
  return same, all
end

-- Parks the job unless the customer can take the places that it lacks, and the
-- pool has one for each job that waits before.
local function no_place(sender, pool, lacks_sender, lacks_pool)
  if lacks_pool and pool.moving and move_on(pool.name) then
    return park(sender, 'pool_closed', '', now + horizon)
  end
  local reason, at = nil, 0
  local function full(window, limit, left, why)
    if left and left <= 0 then
      local back = back_at(window, limit, left)
      at = (reason and (at == 0 or back == 0)) and 0 or math.max(at, back)
      reason = reason or why
    end
  end
  if lacks_sender then
    local window = sender_window_key .. sender_name
    full(window, sender.limit, free(window, sender.limit, 0), 'sender_limit')
  end
  local same, all, left = 0, 0, nil
  if not reserving then
    same, all = ahead(sender, pool)
  end
  if lacks_pool then
    local window, limit = pool_window_key .. pool.name, pool.limit
    if limit >= 0 and priority ~= '0' then
      limit = math.max(0, limit - pool.reserved)
    end
    left = free(window, limit, all)
    full(window, limit, left, 'pool_limit')
  end
  if reason then
    return park(sender, reason, '', at > 0 and at or nil)
  elseif same > 0 or (left and left <= all) then
    return park(sender, 'waiting')
  end
end

-- What is true now: the attempt has its place, its rate and its one grant, in
-- one step. A crash from here on is made up for by the next delivery: it finds
-- the grant, or takes the reservation over.
local function give(sender, at, in_window, awaited)
  local grant = job.grant or {}
  grant.state, grant.given, grant.at, grant.token = reserving and 'r' or 'g', now, at, token
  grant.pool, grant.counted = sender.pool, not in_window
  if grant.counted then
    count(job, grant, at, in_sender, in_pool)
  else
    give_back(job, grant)
  end
  job.grant = grant
  unmark(job)
  unshelve(job)
  save(job)
  if awaited and needs_place then
    wake(job.customer)
  end
  return granted(grant)
end

-- A reservation has booked its rate and pace; any other job books them now.
local function go(sender, in_window, awaited)
  local reserved = job.grant
  if reserved then
    if reserving and not needs_place and reserved.pool == sender.pool and reserved.counted ~= in_window then
      return granted(reserved)
    end
    return give(sender, math.max(now, reserved.at), in_window, awaited)
  end
  local at, kept = book(sender.rate, 1000000 / sender.mps)
  if not at then
    if kept < sender.rate then
      call('HSET', sender_key .. sender_name, 'rate', string.format('%.2f', kept))
    end
    return park(sender, 'rate', '', math.ceil(kept - horizon))
  end
  local turn = pace(pair_key .. sender_name .. ':' .. job.customer, at)
  if turn then
    return park(sender, 'pair_rate', '', turn)
  end
  call('HSET', sender_key .. sender_name, 'rate', string.format('%.2f', kept))
  return give(sender, at, in_window, awaited)
end

local function decide()
  local all = call('HMGET', gate_key, 'epoch', 'paused', 'reason')
  if all[1] ~= epoch() then
    return verdict('closed', {})
  end
  if job.digest and (job.digest ~= ARGV[2] or job.sender ~= sender_name) then
    return verdict('conflict', {})
  end
  local said = call('HMGET', customer_key .. customer, sender_name, '*', '=', '#')
  if said[3] then
    customer = canonical(customer)
    said = call('HMGET', customer_key .. customer, sender_name, '*', '=', '#')
  end
  job.digest, job.sender, job.customer = ARGV[2], sender_name, customer
  local answer = earlier() or arrived() or over()
  if answer then
    return answer
  end

  local sender = read_sender(sender_name, ARGV[5])
  answer = suppressed(sender, said)
  if answer then
    return answer
  end
  local wrote = call('GET', inbound_key .. sender_name .. ':' .. customer)
  local in_window = wrote ~= false and now < tonumber(wrote) + service
  if not in_window and ARGV[10] == '2' then
    return withheld()
  end
  if not in_window and ARGV[10] ~= '1' then
    return finish('no_window', '')
  end

  if sender.member ~= sender.pool then
    join(sender, sender.pool)
  end
  local pool = read_pool(sender.pool)
  if job.grant and job.grant.pool ~= pool.name then
    give_back(job, job.grant)
  end
  local lacks_sender, lacks_pool = false, false
  if not in_window then
    in_sender = score_of(sender_window_key .. sender_name, customer)
    in_pool = score_of(pool_window_key .. pool.name, customer)
    lacks_sender = not in_sender or in_sender <= cutoff
    lacks_pool = not in_pool or in_pool <= cutoff
    needs_place = lacks_sender or lacks_pool
  end
  answer = paused(sender, pool, all) or (needs_place and no_place(sender, pool, lacks_sender, lacks_pool))
  return answer or go(sender, in_window, said[4])
end

return decide()
