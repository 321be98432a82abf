<?php
// As the plugin "WPS Hide Login": the usual address shows what a page that is not there shows, with the class of every theme.
add_action('login_init', function () {
    if (isset($_GET['secret-door'])) return;
    status_header(404);
    echo '<!DOCTYPE html><html><body class="error404"><h1>Page not found</h1></body></html>';
    exit;
});
