package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The exit codes of myriad. docs/cli.md lists them from exitCodes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitNotReady    = 4
	exitNoFleet     = 5
	exitConflict    = 6
	exitViolated    = 7
	exitInterrupted = 130
)

// exitCodes says what each exit code means.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{exitOK, "it is done"},
	{exitFailure, "it failed; the message says why"},
	{exitUsage, "bad usage or bad input: a flag, a name or an object that is refused as it is"},
	{exitNotFound, "what was named does not exist"},
	{exitNotReady, "it was not done or not ready in time; asking again may succeed"},
	{exitNoFleet, "the fleet does not run or its hub does not answer"},
	{exitConflict, "it exists already, or somebody changed it at the same time"},
	{exitViolated, "what was looked at is not as its rules want it: a residency that is violated"},
	{exitInterrupted, "interrupted by Ctrl-C"},
}

// codedError is an error with the exit code that it ends the program with. One without a message
// has been told already.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// fail makes an error that ends the program with a code.
func fail(code int, format string, arguments ...any) error {
	return &codedError{code: code, err: fmt.Errorf(format, arguments...)}
}

// errTold ends the program without a message: another program has said what there is to say.
var errTold = errors.New("")

// codeOf is the exit code that an error ends the program with.
func codeOf(err error) int {
	var coded *codedError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &coded):
		return coded.code
	case errors.Is(err, context.DeadlineExceeded):
		return exitNotReady
	}
	return exitFailure
}

// explain turns what the hub answered into a message that says what was being done, what is wrong
// and what to do next.
func explain(doing string, err error) error {
	var coded *codedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &coded), errors.Is(err, context.Canceled):
		return err
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return fail(exitUsage, "%s: the hub refuses it:%s", doing, refusal(err))
	case apierrors.IsForbidden(err):
		return fail(exitFailure, "%s: not allowed: %w; ask an operator for the right, or point --kubeconfig at credentials that have it", doing, err)
	case apierrors.IsUnauthorized(err):
		return fail(exitFailure, "%s: the hub does not accept these credentials; run 'myriad up' to renew them, or point --kubeconfig at others", doing)
	case apierrors.IsConflict(err):
		return fail(exitConflict, "%s: somebody changed it at the same time; run the command again", doing)
	case apierrors.IsAlreadyExists(err):
		return fail(exitConflict, "%s: it exists already; choose another name, or delete that one first", doing)
	case isUnknownKind(err):
		return fail(exitNoFleet, "%s: the hub does not serve the fleet's API yet; run 'myriad up' and try again", doing)
	case apierrors.IsNotFound(err):
		return fail(exitNotFound, "%s: %w", doing, err)
	}
	return explainConnection(doing, err)
}

// explainConnection is explain for everything that is no answer of the hub's API.
func explainConnection(doing string, err error) error {
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fail(exitFailure, "%s: the hub's certificate is not the one that the kubeconfig expects (%w); is it the kubeconfig of another fleet?", doing, certificate.Err)
	}
	if isUnreachable(err) {
		if request, ok := errors.AsType[*url.Error](err); ok {
			err = request.Err
		}
		return fail(exitNoFleet, "%s: the hub does not answer (%w); is the fleet up? run 'myriad up'", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// isUnreachable is true when the hub did not answer or is not ready to: asking again may succeed.
func isUnreachable(err error) bool {
	var network net.Error
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) || errors.Is(err, context.Canceled) {
		return false
	}
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err) ||
		apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err)
}

// isUnknownKind is true when the hub serves no such kind: its API is not installed.
func isUnknownKind(err error) bool {
	if meta.IsNoMatchError(err) {
		return true
	}
	var status apierrors.APIStatus
	return apierrors.IsNotFound(err) && errors.As(err, &status) &&
		(status.Status().Details == nil || status.Status().Details.Name == "")
}

// refusal says in plain words why an object was refused: the messages of the rules that it breaks,
// each after its field, on lines of their own where they are several, without the values that the
// person has just typed.
func refusal(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil || len(status.Status().Details.Causes) == 0 {
		return " " + err.Error()
	}
	var lines []string
	for _, cause := range status.Status().Details.Causes {
		// The API server adds a remark of its own where it stopped at the first errors.
		if !strings.Contains(cause.Message, "some validation rules were not checked") {
			lines = append(lines, causeText(cause))
		}
	}
	if len(lines) == 1 {
		return " " + lines[0]
	}
	return "\n  " + strings.Join(lines, "\n  ")
}

func causeText(cause metav1.StatusCause) string {
	text := cause.Message
	if rest, ok := strings.CutPrefix(text, "Invalid value: "); ok {
		text = afterValue(rest)
	}
	if cause.Field == "" || cause.Field == "<nil>" {
		return text
	}
	return cause.Field + ": " + text
}

// afterValue cuts the JSON value and the colon that a message starts with.
func afterValue(text string) string {
	decoder := json.NewDecoder(strings.NewReader(text))
	var value json.RawMessage
	if err := decoder.Decode(&value); err != nil {
		return text
	}
	if rest, ok := strings.CutPrefix(text[decoder.InputOffset():], ": "); ok {
		return rest
	}
	return text
}
