<?php
// The password is made, and then something breaks.
add_action('wp_create_application_password', function () {
    status_header(500);
    exit;
});
