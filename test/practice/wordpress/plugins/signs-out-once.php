<?php
// The session is over when the profile is opened the first time; from then on all is as ever.
add_action('load-profile.php', function () {
    if (!rename(__FILE__, __FILE__ . '.done')) return;
    wp_destroy_current_session();
    wp_clear_auth_cookie();
    auth_redirect();
});
