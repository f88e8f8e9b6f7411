// The health check of the API: exit code 0 when it answers.
const response = await fetch("http://127.0.0.1:3000/health");
process.exit(response.ok ? 0 : 1);
