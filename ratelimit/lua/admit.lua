-- Decides whether one attempt of a job may go now, and if so takes its place,
-- its rate and the grant. Without a token it reserves them.
--
-- KEYS 1 job  2 epoch  3 pause of everything  4 sender  5 sender's window
--      6 sender's rate  7 customer's consents  8 customer's last message
-- ARGV 10 digest  11 sender  12 customer  13 pool  14 priority  15 attempt
--      16 token (empty: reserve)  17 free form  18 template  19 expires at
-- Returns outcome, at, now, reason, detail, pool, counted, in window, SID,
--      settled; all as text.

local digest, sender_name, customer, priority, token = ARGV[10], ARGV[11], ARGV[12], ARGV[14], ARGV[16]
local reserving = token == ''
local job = read(KEYS[1], tonumber(ARGV[15]))
-- Whether the customer needs a place that it does not have.
local new_place = false

local function verdict(outcome, v)
  v = v or {}
  return {
    outcome, v.at and us(v.at) or '', us(v.now or now), v.reason or '', v.detail or '', v.pool or '',
    v.counted and '1' or '', v.in_window and '1' or '', v.sid or '', v.settled and '1' or '',
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
  local before = unpack_grant(f[1], nil, nil, f[2])
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
  local expires = tonumber(ARGV[19])
  if expires and expires <= now then
    return finish('expired', '')
  end
end

local function suppressed(sender)
  local said = call('HMGET', KEYS[7], sender_name, '*')
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
  mark(job, sender.pool, priority)
  save(job)
  return verdict('park', { reason = reason, detail = detail, at = at, pool = sender.pool })
end

local function paused(sender, pool)
  local all = call('HMGET', KEYS[3], 'paused', 'reason')
  if all[1] == '1' then
    return park(sender, 'paused', all[2])
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

-- When a window that is full for this limit has room again; 0 if time alone
-- does not help; nil if there is room now.
local function full_until(window, limit)
  local taken = limit >= 0 and used(window) or -1
  if taken < limit or limit < 0 then
    return nil
  end
  return limit > 0 and returns_at(window, taken - limit) or 0
end

-- Parks the job unless the customer has a place, or can take one. A customer
-- counted in both windows has one; any other needs it in each that lacks it.
local function no_place(sender, pool)
  local reason, at = nil, 0
  local function need(window, limit, lacks)
    if counts(window, customer) then
      return
    end
    new_place = true
    local back = full_until(window, limit)
    if back then
      at = (reason and (at == 0 or back == 0)) and 0 or math.max(at, back)
      reason = reason or lacks
    end
  end
  local limit = pool.limit
  if limit >= 0 and priority ~= '0' then
    limit = math.max(0, limit - pool.reserved)
  end
  need(KEYS[5], sender.limit, 'sender_limit')
  need(key.pool_window .. pool.name, limit, 'pool_limit')
  if reason then
    return park(sender, reason, '', at > 0 and at or nil)
  elseif new_place and not reserving and others_wait(job, pool.name, priority) then
    return park(sender, 'waiting')
  end
end

-- What is true now: the attempt has its place, its rate and its one grant, in
-- one step. A crash from here on is made up for by the next delivery: it finds
-- the grant, or takes the reservation over.
local function give(sender, at, in_window)
  local grant = job.grant or {}
  grant.state, grant.given, grant.at, grant.token = reserving and 'r' or 'g', now, at, token
  grant.pool, grant.counted = sender.pool, not in_window
  if grant.counted then
    count(job, grant, at)
  else
    give_back(job, grant)
  end
  job.grant = grant
  unmark(job)
  save(job)
  return granted(grant)
end

-- A reservation has booked its rate; any other job books it now.
local function go(sender, in_window)
  local reserved = job.grant
  if reserved then
    if reserving and not new_place and reserved.pool == sender.pool and reserved.counted ~= in_window then
      return granted(reserved)
    end
    return give(sender, math.max(now, reserved.at), in_window)
  end
  local at, kept = book(tonumber(call('GET', KEYS[6]) or '0'), 1000000 / tonumber(sender.mps))
  if not at then
    return park(sender, 'rate', '', kept)
  end
  call('SET', KEYS[6], string.format('%.2f', kept))
  return give(sender, at, in_window)
end

local function decide()
  if call('GET', KEYS[2]) ~= epoch() then
    return verdict('closed')
  end
  if job.digest and (job.digest ~= digest or job.sender ~= sender_name) then
    return verdict('conflict')
  end
  job.digest, job.sender, job.customer = digest, sender_name, customer
  local answer = earlier() or arrived() or over()
  if answer then
    return answer
  end

  local sender = read_sender(sender_name, ARGV[13])
  answer = suppressed(sender)
  if answer then
    return answer
  end
  local wrote = call('GET', KEYS[8])
  local in_window = wrote ~= false and now < tonumber(wrote) + service
  if not in_window and ARGV[18] ~= '1' then
    return finish('no_window', '')
  end

  if sender.member ~= sender.pool then
    join(sender, sender.pool)
  end
  local pool = read_pool(sender.pool)
  if job.grant and job.grant.pool ~= pool.name then
    give_back(job, job.grant)
  end
  answer = paused(sender, pool) or (not in_window and no_place(sender, pool))
  return answer or go(sender, in_window)
end

return decide()
