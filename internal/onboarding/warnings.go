package onboarding

import (
	"fmt"

	"github.com/sluicehq/sluice/internal/messaging"
)

// Bounds of one Meta business since 2023. Older businesses may be exempt, so
// they are told and never enforced.
const (
	numbersUnverified = 2
	numbersVerified   = 20
	numbersException  = 50
	wabasVerified     = 20
	wabasOfficial     = 1000
)

// Warnings are what may go wrong with a plan, for people, beside the senders
// that there are.
func Warnings(p Plan, there []messaging.ChannelSender) []string {
	said := []string{
		"Meta reviews display names: a rejected one holds its number at 250 customers a day, may disconnect it, and cannot be changed through the API",
	}
	numbers, wabas := map[string]bool{}, map[string]bool{}
	for _, s := range there {
		numbers[s.Address] = true
		wabas[s.Configuration.WABA] = true
	}
	for _, s := range p.Senders {
		numbers[s.Address] = true
		wabas[s.Configuration.WABA] = true
	}
	delete(wabas, "")
	switch n := len(numbers); {
	case n > numbersException:
		said = append(said, fmt.Sprintf("%d numbers: Meta allows a business %d by exception, more on appeal", n, numbersException))
	case n > numbersVerified:
		said = append(said, fmt.Sprintf("%d numbers: Meta allows a verified business %d, and up to %d on request", n, numbersVerified, numbersException))
	case n > numbersUnverified:
		said = append(said, fmt.Sprintf("%d numbers: Meta allows a business that is not verified %d", n, numbersUnverified))
	}
	switch n := len(wabas); {
	case n > wabasOfficial:
		said = append(said, fmt.Sprintf("%d WhatsApp Business Accounts: Meta allows an official account %d", n, wabasOfficial))
	case n > wabasVerified:
		said = append(said, fmt.Sprintf("%d WhatsApp Business Accounts: Meta allows a verified business %d", n, wabasVerified))
	}
	if len(wabas) > 1 {
		said = append(said, "several WhatsApp Business Accounts: the provider allows one per account")
	}
	return said
}
