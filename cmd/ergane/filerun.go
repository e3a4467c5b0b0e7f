package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
	"github.com/ergane-dev/ergane/internal/objects"
	"github.com/ergane-dev/ergane/internal/words"
)

// A fileRun is one `ergane run` on a server: one session that runs one file.
type fileRun struct {
	dirs      dirs
	serve     []string // flags of a server that has to be started
	client    *client
	say       *speaker
	workGroup string
	id        string // of the run: names the folder of its files, and the token of its session
	session   string
	begun     time.Time // of the session, then of the file's calculation
}

// pollEvery is how often a state is asked for; the server holds young reads anyway.
const pollEvery = 100 * time.Millisecond

// start starts the session and waits until it is IDLE.
func (r *fileRun) start(ctx context.Context) error {
	defer r.say.done()
	r.begun = time.Now()
	in := athena.StartSessionRequest{
		WorkGroup:                   &r.workGroup,
		EngineConfiguration:         &athena.EngineConfiguration{},
		Description:                 new("ergane run"),
		ClientRequestToken:          new("ergane-run-" + r.id),
		SessionIdleTimeoutInMinutes: new(1), // in case this process dies without ending it
	}
	var out athena.StartSessionResponse
	for {
		// Not cut short by Ctrl-C: a session whose id is lost cannot be ended.
		begin, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupFor)
		err := r.client.call(begin, "StartSession", in, &out)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, errUnreachable) || ctx.Err() != nil {
			return err
		}
		if r.client, err = findServer(ctx, r.dirs, r.serve, r.say); err != nil { // the first server was shutting down
			return err
		}
	}
	r.session = *out.SessionId
	for {
		var got athena.GetSessionStatusResponse
		if err := r.ask(ctx, "GetSessionStatus", athena.GetSessionStatusRequest{SessionId: &r.session}, &got); err != nil {
			return err
		}
		switch state := ergane.SessionState(*got.Status.State); {
		case state == ergane.SessionIdle:
			r.say.done()
			r.say.say("session %s started in %s", r.session, since(r.begun))
			return nil
		case state != ergane.SessionCreating:
			return fmt.Errorf("the session is %s: %s", state, deref(got.Status.StateChangeReason))
		}
		r.say.progress("starting a session", since(r.begun))
		if err := sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// unreachableFor is how long the server may be unreachable, for instance while it is restarted.
const unreachableFor = 15 * time.Second

// ask repeats a call that may be repeated to a server that is unreachable for a while,
// or that has too many calls.
func (r *fileRun) ask(ctx context.Context, operation string, in, out any) error {
	for begun := time.Now(); ; {
		err := r.client.call(ctx, operation, in, out)
		if !errors.Is(err, errUnreachable) && !throttled(err) || time.Since(begun) > unreachableFor {
			return err
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// files is the s3:// address for the run's files.
func (r *fileRun) files() string { return r.client.info.Files + "/" + r.id }

// stay keeps a server with --exit-idle from ending, until ctx ends.
func (r *fileRun) stay(ctx context.Context) {
	for sleep(ctx, exitIdle/3) == nil {
		_, _ = askReady(ctx, r.client.info)
	}
}

// upload copies a folder to S3 and returns its address.
func (r *fileRun) upload(ctx context.Context, dir string) (string, error) {
	defer r.say.done()
	at := r.files()
	store, err := r.objects()
	if err != nil {
		return "", err
	}
	defer store.Close()
	staying, cancel := context.WithCancel(ctx)
	defer cancel()
	go r.stay(staying)
	var copied int64
	err = store.PutTree(ctx, at, dir, func(f objects.Stored) {
		if f.Skipped != "" {
			r.say.say("%s was not copied: %s", f.Name, f.Skipped)
			return
		}
		copied += f.Size
		r.say.progress("copying "+dir, words.Bytes(copied))
	})
	if err != nil {
		return "", fmt.Errorf("copy %s to %s: %w", dir, at, err)
	}
	return at, nil
}

func (r *fileRun) objects() (*objects.Client, error) {
	info := r.client.info
	key, err := clientKey(info, r.client.key)
	if err != nil {
		return nil, err
	}
	return objects.New(objects.Config{
		Endpoint: info.S3, Region: info.Region, AccessKeyID: key.AccessKeyID, Secret: key.Secret,
		PathStyle: true, Embedded: !info.ExternalS3,
	})
}

// finished is a calculation that has ended.
type finished struct {
	ID     string
	Status ergane.CalculationStatus
	Dir    string
}

// run runs the code with sys.argv set, and streams its output.
func (r *fileRun) run(ctx context.Context, code string, argv []string) (finished, error) {
	if utf8.RuneCountInString(code) > ergane.MaxCodeBlock {
		var err error
		if code, err = r.byReference(ctx, code); err != nil {
			return finished{}, err
		}
	}
	words, err := json.Marshal(argv) // a JSON list of strings is a Python list, too
	if err != nil {
		return finished{}, err
	}
	id, err := r.submit(ctx, "import sys; sys.argv = "+string(words))
	if err != nil {
		return finished{}, err
	}
	if got, err := r.wait(ctx, id); err != nil || got.Status.State != ergane.CalculationCompleted {
		return got, errors.Join(err, errOf(got))
	}
	if id, err = r.submit(ctx, code); err != nil {
		return finished{}, err
	}
	r.begun = time.Now()
	var streams sync.WaitGroup
	streams.Go(func() { r.stream(ctx, id, ergane.Stdout, os.Stdout) })
	streams.Go(func() { r.stream(ctx, id, ergane.Stderr, os.Stderr) })
	streams.Wait()
	return r.wait(ctx, id)
}

// byReference puts code that is too long for a block into S3 and returns a
// block that runs it from there under the name of a block.
func (r *fileRun) byReference(ctx context.Context, code string) (string, error) {
	at, err := objects.ParseURI(r.files() + "/.code.py")
	if err != nil {
		return "", err
	}
	store, err := r.objects()
	if err != nil {
		return "", err
	}
	defer store.Close()
	if err := store.Put(ctx, at.String(), strings.NewReader(code), int64(len(code)), "text/x-python", ergane.Delivery{}); err != nil {
		return "", fmt.Errorf("put the code into S3: %w", err)
	}
	return fmt.Sprintf(`exec(compile(__import__("boto3").client("s3").get_object(Bucket=%q, Key=%q)["Body"].read(), "<stdin>", "exec"))`, at.Bucket, at.Key), nil
}

func (r *fileRun) submit(ctx context.Context, code string) (string, error) {
	in := athena.StartCalculationExecutionRequest{SessionId: &r.session, CodeBlock: &code, ClientRequestToken: new(uuid.NewString())}
	var out athena.StartCalculationExecutionResponse
	if err := r.ask(ctx, "StartCalculationExecution", in, &out); err != nil {
		return "", err
	}
	return *out.CalculationExecutionId, nil
}

// wait polls until a calculation has ended.
func (r *fileRun) wait(ctx context.Context, id string) (finished, error) {
	for {
		var got athena.GetCalculationExecutionResponse
		err := r.ask(ctx, "GetCalculationExecution", athena.GetCalculationExecutionRequest{CalculationExecutionId: &id}, &got)
		if err != nil {
			return finished{}, err
		}
		state := ergane.CalculationState(*got.Status.State)
		if state.Terminal() {
			return finished{
				ID: id, Dir: deref(got.WorkingDirectory),
				Status: ergane.CalculationStatus{State: state, Reason: deref(got.Status.StateChangeReason)},
			}, nil
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return finished{}, err
		}
	}
}

// stream copies one stream of a calculation until it ends. After a broken
// connection it continues where it was.
func (r *fileRun) stream(ctx context.Context, id string, stream ergane.Stream, w *os.File) {
	var from int64
	for unreachable := time.Now(); ; {
		n, err := r.client.output(ctx, id, stream, from, w)
		if from += n; !errors.Is(err, errUnreachable) {
			unreachable = time.Now() // it was there until now
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		if errors.As(err, new(*apiError)) && !throttled(err) || time.Since(unreachable) > unreachableFor {
			r.say.say("cannot show %s: %v", stream, err)
			return
		}
		if sleep(ctx, pollEvery) != nil {
			return
		}
	}
}

// report prints how the calculation ended, its executors, and where its outputs are.
func (r *fileRun) report(ctx context.Context, done finished) {
	line := fmt.Sprintf("calculation %s %s after %s", done.ID, done.Status.State, since(r.begun))
	if done.Status.Reason != "" {
		line += ": " + done.Status.Reason
	}
	r.say.say("%s", line)
	var got athena.ListExecutorsResponse
	if err := r.client.call(ctx, "ListExecutors", athena.ListExecutorsRequest{SessionId: &r.session}, &got); err == nil {
		var b strings.Builder
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "EXECUTOR\tTYPE\tSTATE\tDPUS")
		for _, e := range got.ExecutorsSummary {
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\n", deref(e.ExecutorId), deref(e.ExecutorType), deref(e.ExecutorState), deref(e.ExecutorSize))
		}
		t.Flush()
		r.say.say("%s", strings.TrimRight(b.String(), "\n"))
	}
	r.say.say("outputs: %s/{stdout,stderr,results}", done.Dir)
}

// end terminates the session and waits until nothing of it is left.
func (r *fileRun) end(ctx context.Context) {
	if r.session == "" {
		return
	}
	defer r.say.done()
	var out athena.TerminateSessionResponse
	if err := r.client.call(ctx, "TerminateSession", athena.TerminateSessionRequest{SessionId: &r.session}, &out); err != nil {
		return // without a server the session's own dead-man switch ends it
	}
	for begun := time.Now(); ; {
		var got athena.GetSessionStatusResponse
		err := r.client.call(ctx, "GetSessionStatus", athena.GetSessionStatusRequest{SessionId: &r.session}, &got)
		if err != nil || ergane.SessionState(*got.Status.State).Ended() {
			return
		}
		if time.Since(begun) > 2*time.Second {
			r.say.progress("ending the session", since(begun))
		}
		if sleep(ctx, pollEvery) != nil {
			return
		}
	}
}

func errOf(f finished) error {
	if f.Status.State == ergane.CalculationCompleted || f.ID == "" {
		return nil
	}
	return fmt.Errorf("the code's arguments could not be set: %s %s", f.Status.State, f.Status.Reason)
}

func since(t time.Time) string { return fmt.Sprintf("%.1f s", time.Since(t).Seconds()) }

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
