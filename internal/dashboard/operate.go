package dashboard

import (
	"net/http"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/senders"
)

func (a *API) listSenders(r *http.Request) (any, error) {
	list, err := a.cfg.Registry.Senders(r.Context())
	return map[string]any{"senders": list}, err
}

func (a *API) getSender(r *http.Request) (any, error) {
	token, err := pathSender(r)
	if err != nil {
		return nil, err
	}
	return a.cfg.Registry.Sender(r.Context(), token)
}

func (a *API) putSender(r *http.Request) (any, error) {
	token, err := pathSender(r)
	if err != nil {
		return nil, err
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	patch, err := senders.DecodePatch(body)
	if err != nil {
		return nil, err
	}
	return a.cfg.Registry.PutSender(r.Context(), token, patch)
}

func (a *API) pauseSender(paused bool) question {
	return func(r *http.Request) (any, error) {
		token, err := pathSender(r)
		if err != nil {
			return nil, err
		}
		reason, err := readReason(r)
		if err != nil {
			return nil, err
		}
		return a.cfg.Registry.PauseSender(r.Context(), token, paused, reason)
	}
}

func (a *API) listPools(r *http.Request) (any, error) {
	list, err := a.cfg.Registry.Pools(r.Context())
	return map[string]any{"pools": list}, err
}

func (a *API) getPool(r *http.Request) (any, error) {
	return a.cfg.Registry.Pool(r.Context(), r.PathValue("pool"))
}

func (a *API) putPool(r *http.Request) (any, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	patch, err := senders.DecodePoolPatch(body)
	if err != nil {
		return nil, err
	}
	return a.cfg.Registry.PutPool(r.Context(), r.PathValue("pool"), patch)
}

func (a *API) getConsents(r *http.Request) (any, error) {
	customer, err := pathAddress(r)
	if err != nil {
		return nil, err
	}
	list, err := a.cfg.Registry.Consents(r.Context(), customer)
	return map[string]any{"address": customer, "consents": list}, err
}

func (a *API) putConsent(r *http.Request) (any, error) {
	customer, err := pathAddress(r)
	if err != nil {
		return nil, err
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	consent, err := senders.DecodeConsent(body)
	if err != nil {
		return nil, err
	}
	return a.cfg.Registry.PutConsent(r.Context(), customer, consent)
}

func (a *API) pauseAll(paused bool) question {
	return func(r *http.Request) (any, error) {
		reason, err := readReason(r)
		if err != nil {
			return nil, err
		}
		return a.cfg.Registry.Pause(r.Context(), paused, reason)
	}
}

// readReason reads the optional body of a pause.
func readReason(r *http.Request) (string, error) {
	body, err := readBody(r)
	if err != nil {
		return "", err
	}
	return senders.DecodeReason(body)
}

func pathSender(r *http.Request) (string, error) {
	token := senderToken(r.PathValue("sender"))
	if token == "" {
		return "", badField("sender", "must be the digits of a number or MG and 32 hexadecimal digits")
	}
	return token, nil
}

func pathAddress(r *http.Request) (string, error) {
	customer := address(r.PathValue("address"))
	if !delivery.ValidCustomer(customer) {
		return "", badField("address", "must be an address as in whatsapp%3A%2B15551234567")
	}
	return customer, nil
}
