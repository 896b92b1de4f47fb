// java Render.java FILE SCENE: renders a scene with `renderer serve`, and downloads what it makes. Java 17 or newer.
// SERVE_URL is the server, SERVE_TOKEN the token, if it has tokens.
// It needs no library: a program with a JSON library (Jackson, Gson) would use that one instead of the two functions below.

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;
import java.util.regex.Pattern;
import java.util.stream.Stream;

public class Render {
    static final String SERVER = System.getenv().getOrDefault("SERVE_URL", "http://localhost:8080");
    static final String TOKEN = System.getenv("SERVE_TOKEN");
    static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    public static void main(String[] arguments) throws Exception {
        String run = "{\"code\": %s, \"scenes\": [%s], \"settings\": {\"quality\": \"l\"}}"
            .formatted(quote(Files.readString(Path.of(arguments[0]))), quote(arguments[1]));
        HttpRequest.Builder submit = request("/api/v1/jobs")
            .POST(HttpRequest.BodyPublishers.ofString(run))
            .header("Content-Type", "application/json")
            // the same request with the same key makes one job, so that it may be sent again
            .header("Idempotency-Key", UUID.randomUUID().toString());
        String job = "/api/v1/jobs/" + find("id", text(submit));

        follow(job + "/events");
        String ended = text(request(job));
        if (!find("state", ended).equals("succeeded")) {
            throw new IllegalStateException(find("message", ended));
        }
        var output = Pattern.compile("\"path\":\"([^\"]+)\".*?\"url\":\"([^\"]+)\"").matcher(text(request(job + "/outputs")));
        while (output.find()) {
            Path path = Path.of(output.group(1));
            if (path.getParent() != null) {
                Files.createDirectories(path.getParent());
            }
            HTTP.send(request(output.group(2)).build(), HttpResponse.BodyHandlers.ofFile(path));
            System.out.println(path);
        }
    }

    /** Prints the log of a job until the job has ended, also if the server is restarted meanwhile. */
    static void follow(String path) throws InterruptedException {
        String id = "", last = "", event = "";
        while (!event.equals("end")) {
            HttpRequest.Builder events = request(path);
            try (var lines = HTTP.send((last.isEmpty() ? events : events.header("Last-Event-ID", last)).build(),
                    HttpResponse.BodyHandlers.ofLines()).body()) {
                for (String line : (Iterable<String>) lines::iterator) {
                    if (line.isEmpty()) {
                        last = id;
                    } else if (line.startsWith("id: ")) {
                        id = line.substring(4);
                    } else if (line.startsWith("event: ")) {
                        event = line.substring(7);
                    } else if (event.equals("log")) {
                        findAll("text", line).forEach(System.out::println);
                    }
                }
            } catch (IOException | UncheckedIOException broken) {
                Thread.sleep(1000);
            }
        }
    }

    static HttpRequest.Builder request(String path) {
        HttpRequest.Builder builder = HttpRequest.newBuilder(URI.create(SERVER + path));
        return TOKEN == null ? builder : builder.header("Authorization", "Bearer " + TOKEN);
    }

    /** Returns the text of an answer. Throws IllegalStateException with the sentence of an error. */
    static String text(HttpRequest.Builder request) throws Exception {
        HttpResponse<String> answer = HTTP.send(request.build(), HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() >= 400) {
            throw new IllegalStateException(find("detail", answer.body()));
        }
        return answer.body();
    }

    /** Returns the first value of this name in a JSON document. */
    static String find(String name, String json) {
        return findAll(name, json).findFirst().orElse(json);
    }

    static Stream<String> findAll(String name, String json) {
        return Pattern.compile("\"%s\": ?\"((?:[^\"\\\\]|\\\\.)*)\"".formatted(name)).matcher(json).results()
            .map(found -> found.group(1));
    }

    /** Returns a text as JSON. */
    static String quote(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        text.chars().forEach(c -> quoted.append(c < 0x20 || c == '"' || c == '\\' ? "\\u%04x".formatted(c) : (char) c));
        return quoted.append('"').toString();
    }
}
