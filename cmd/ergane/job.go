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

// A job is what `ergane run` does on a server: one session, one file.
type job struct {
	dirs      dirs
	serve     []string // flags of a server that has to be started
	client    *client
	say       *speaker
	workGroup string
	id        string // of the run: where its files are, and the token of its session
	session   string
	begun     time.Time // of the session, then of the file's calculation
}

// pollEvery is how often a state is asked for; the server holds young reads anyway.
const pollEvery = 100 * time.Millisecond

// start starts the session and waits until it is IDLE.
func (j *job) start(ctx context.Context) error {
	defer j.say.done()
	j.begun = time.Now()
	in := athena.StartSessionRequest{
		WorkGroup:                   &j.workGroup,
		EngineConfiguration:         &athena.EngineConfiguration{},
		Description:                 new("ergane run"),
		ClientRequestToken:          new("ergane-run-" + j.id),
		SessionIdleTimeoutInMinutes: new(1), // should this process die without ending it
	}
	var out athena.StartSessionResponse
	for {
		// Not cut short by Ctrl-C: a session whose id is lost cannot be ended.
		begin, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		err := j.client.call(begin, "StartSession", in, &out)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, errUnreachable) || ctx.Err() != nil {
			return err
		}
		if j.client, err = findServer(ctx, j.dirs, j.serve, j.say); err != nil { // that one was shutting down
			return err
		}
	}
	j.session = *out.SessionId
	for {
		var got athena.GetSessionStatusResponse
		if err := j.ask(ctx, "GetSessionStatus", athena.GetSessionStatusRequest{SessionId: &j.session}, &got); err != nil {
			return err
		}
		switch state := ergane.SessionState(*got.Status.State); {
		case state == ergane.SessionIdle:
			j.say.done()
			j.say.say("session %s started in %s", j.session, since(j.begun))
			return nil
		case state != ergane.SessionCreating:
			return fmt.Errorf("the session is %s: %s", state, deref(got.Status.StateChangeReason))
		}
		j.say.progress("starting a session", since(j.begun))
		if err := sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// unreachableFor is how long the server may be unreachable, for instance while it is restarted.
const unreachableFor = 15 * time.Second

// ask repeats a call that may be repeated to a server that is unreachable for a while,
// or that has too many calls.
func (j *job) ask(ctx context.Context, operation string, in, out any) error {
	for begun := time.Now(); ; {
		err := j.client.call(ctx, operation, in, out)
		if !errors.Is(err, errUnreachable) && !throttled(err) || time.Since(begun) > unreachableFor {
			return err
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// files is the s3:// address for the run's files.
func (j *job) files() string { return j.client.info.Files + "/" + j.id }

// stay keeps a server that ends by itself from doing so, until ctx ends.
func (j *job) stay(ctx context.Context) {
	for sleep(ctx, exitIdle/3) == nil {
		_, _ = askReady(ctx, j.client.info)
	}
}

// upload copies a folder to S3 and returns its address.
func (j *job) upload(ctx context.Context, dir string) (string, error) {
	defer j.say.done()
	at := j.files()
	store, err := j.objects()
	if err != nil {
		return "", err
	}
	defer store.Close()
	staying, cancel := context.WithCancel(ctx)
	defer cancel()
	go j.stay(staying)
	var copied int64
	err = store.PutTree(ctx, at, dir, func(f objects.Stored) {
		if f.Skipped != "" {
			j.say.say("%s was not copied: %s", f.Name, f.Skipped)
			return
		}
		copied += f.Size
		j.say.progress("copying "+dir, words.Bytes(copied))
	})
	if err != nil {
		return "", fmt.Errorf("copy %s to %s: %w", dir, at, err)
	}
	return at, nil
}

func (j *job) objects() (*objects.Client, error) {
	info := j.client.info
	key, err := clientKey(info, j.client.key)
	if err != nil {
		return nil, err
	}
	return objects.New(objects.Config{
		Endpoint: info.S3, Region: info.Region, AccessKeyID: key.AccessKeyID, Secret: key.Secret,
		PathStyle: true, Embedded: !info.ExternalS3,
	})
}

// finished is how the file's calculation ended.
type finished struct {
	ID     string
	Status ergane.CalculationStatus
	Dir    string
}

// run runs the code with sys.argv set, and streams its output.
func (j *job) run(ctx context.Context, code string, argv []string) (finished, error) {
	if utf8.RuneCountInString(code) > ergane.MaxCodeBlock {
		var err error
		if code, err = j.byReference(ctx, code); err != nil {
			return finished{}, err
		}
	}
	words, err := json.Marshal(argv) // a JSON list of strings is one of Python's, too
	if err != nil {
		return finished{}, err
	}
	id, err := j.submit(ctx, "import sys; sys.argv = "+string(words))
	if err != nil {
		return finished{}, err
	}
	if got, err := j.wait(ctx, id); err != nil || got.Status.State != ergane.CalculationCompleted {
		return got, errors.Join(err, errOf(got))
	}
	if id, err = j.submit(ctx, code); err != nil {
		return finished{}, err
	}
	j.begun = time.Now()
	var streams sync.WaitGroup
	streams.Go(func() { j.stream(ctx, id, ergane.Stdout, os.Stdout) })
	streams.Go(func() { j.stream(ctx, id, ergane.Stderr, os.Stderr) })
	streams.Wait()
	return j.wait(ctx, id)
}

// byReference puts code that is too long for a block into S3 and returns a
// block that runs it from there under the name of a block.
func (j *job) byReference(ctx context.Context, code string) (string, error) {
	at, err := objects.ParseURI(j.files() + "/.code.py")
	if err != nil {
		return "", err
	}
	store, err := j.objects()
	if err != nil {
		return "", err
	}
	defer store.Close()
	if err := store.Put(ctx, at.String(), strings.NewReader(code), int64(len(code)), "text/x-python", ergane.Delivery{}); err != nil {
		return "", fmt.Errorf("put the code into S3: %w", err)
	}
	return fmt.Sprintf(`exec(compile(__import__("boto3").client("s3").get_object(Bucket=%q, Key=%q)["Body"].read(), "<stdin>", "exec"))`, at.Bucket, at.Key), nil
}

func (j *job) submit(ctx context.Context, code string) (string, error) {
	in := athena.StartCalculationExecutionRequest{SessionId: &j.session, CodeBlock: &code, ClientRequestToken: new(uuid.NewString())}
	var out athena.StartCalculationExecutionResponse
	if err := j.ask(ctx, "StartCalculationExecution", in, &out); err != nil {
		return "", err
	}
	return *out.CalculationExecutionId, nil
}

// wait polls until a calculation has ended.
func (j *job) wait(ctx context.Context, id string) (finished, error) {
	for {
		var got athena.GetCalculationExecutionResponse
		err := j.ask(ctx, "GetCalculationExecution", athena.GetCalculationExecutionRequest{CalculationExecutionId: &id}, &got)
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

// stream copies one stream of a calculation until it ends. A broken
// connection is taken up where it broke.
func (j *job) stream(ctx context.Context, id string, stream ergane.Stream, w *os.File) {
	var from int64
	for unreachable := time.Now(); ; {
		n, err := j.client.output(ctx, id, stream, from, w)
		if from += n; !errors.Is(err, errUnreachable) {
			unreachable = time.Now() // it was there until now
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		if errors.As(err, new(*apiError)) && !throttled(err) || time.Since(unreachable) > unreachableFor {
			j.say.say("cannot show %s: %v", stream, err)
			return
		}
		if sleep(ctx, pollEvery) != nil {
			return
		}
	}
}

// report says how it ended, who took part, and where the outputs lie.
func (j *job) report(ctx context.Context, done finished) {
	line := fmt.Sprintf("calculation %s %s after %s", done.ID, done.Status.State, since(j.begun))
	if done.Status.Reason != "" {
		line += ": " + done.Status.Reason
	}
	j.say.say("%s", line)
	var got athena.ListExecutorsResponse
	if err := j.client.call(ctx, "ListExecutors", athena.ListExecutorsRequest{SessionId: &j.session}, &got); err == nil {
		var b strings.Builder
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "EXECUTOR\tTYPE\tSTATE\tDPUS")
		for _, e := range got.ExecutorsSummary {
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\n", deref(e.ExecutorId), deref(e.ExecutorType), deref(e.ExecutorState), deref(e.ExecutorSize))
		}
		t.Flush()
		j.say.say("%s", strings.TrimRight(b.String(), "\n"))
	}
	j.say.say("outputs: %s/{stdout,stderr,results}", done.Dir)
}

// end terminates the session and waits until nothing of it is left.
func (j *job) end(ctx context.Context) {
	if j.session == "" {
		return
	}
	defer j.say.done()
	var out athena.TerminateSessionResponse
	if err := j.client.call(ctx, "TerminateSession", athena.TerminateSessionRequest{SessionId: &j.session}, &out); err != nil {
		return // without a server the session's own dead-man switch ends it
	}
	for begun := time.Now(); ; {
		var got athena.GetSessionStatusResponse
		err := j.client.call(ctx, "GetSessionStatus", athena.GetSessionStatusRequest{SessionId: &j.session}, &got)
		if err != nil || ergane.SessionState(*got.Status.State).Ended() {
			return
		}
		if time.Since(begun) > 2*time.Second {
			j.say.progress("ending the session", since(begun))
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
