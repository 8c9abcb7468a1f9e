package onboarding

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// CheckNumber returns a sender's number as +E.164, whether it was given so,
// with "whatsapp:" before it, or as digits. WhatsApp keeps numbers of Argentina
// as +549… and of Mexico as +521… (seen on the vendor's page on senders);
// others are refused here, since the provider would register a number that
// nobody reaches.
func CheckNumber(text string) (string, error) {
	number := strings.TrimPrefix(strings.TrimSpace(text), "whatsapp:")
	if !strings.HasPrefix(number, "+") {
		number = "+" + number
	}
	if !e164.MatchString(number) {
		return "", fmt.Errorf("%q is not a number in E.164, as in +15551234567", text)
	}
	plan := number // as the numbering plan has it
	switch {
	case strings.HasPrefix(number, "+54") && !strings.HasPrefix(number, "+549"):
		return "", errors.New("numbers of Argentina are +549… on WhatsApp, without the 15")
	case strings.HasPrefix(number, "+52") && !strings.HasPrefix(number, "+521"):
		return "", errors.New("numbers of Mexico are +521… on WhatsApp")
	case strings.HasPrefix(number, "+521"):
		plan = "+52" + number[len("+521"):]
	}
	parsed, err := phonenumbers.Parse(plan, "")
	if err != nil || !phonenumbers.IsPossibleNumber(parsed) {
		return "", fmt.Errorf("%q can't be a number of its country: count its digits", text)
	}
	return number, nil
}
